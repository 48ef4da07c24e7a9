"""One process reads for its group: its batches go to the others over the devices, as Arrow bytes, not pickled."""

from __future__ import annotations

from typing import Final

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from mixtera.adapters.failures import told, understood
from mixtera.errors import MixteraError, PlanError

_END: Final = 0
_BATCH: Final = 1
_FAILURE: Final = 2
_LEAST_WORDS: Final = 1 << 10
"""Messages are padded to a power of two, so that few sizes have to be compiled."""

Int32s = npt.NDArray[np.int32]


class Group:
    """Processes that work on the same samples, one of which reads.

    All processes of the run meet for each batch, in all groups: devices exchange what all of them ask for at a time. So
    it belongs to the thread that the training runs in, whose order of computations is the same everywhere.

    Attributes:
        reads: Whether this process is the one.
    """

    def __init__(self, groups: tuple[tuple[int, ...], ...]) -> None:
        """Prepare; nothing is exchanged.

        Args:
            groups: The processes of each group; the first of them reads.

        Raises:
            PlanError: They are not all processes, or the groups differ in size.
        """
        processes = sorted(process for group in groups for process in group)
        if processes != list(range(jax.process_count())) or len({len(group) for group in groups}) > 1:
            raise PlanError(
                f"read='first' needs all {jax.process_count()} processes, in groups of one size that work on the same "
                f"samples; these are {', '.join(map(str, groups))}: use read='every'"
            )
        devices = {device.process_index: device for device in reversed(jax.devices())}
        mesh = Mesh(np.array([[devices[process] for process in group] for group in groups]), ("group", "peer"))
        self._shape = len(groups), len(groups[0])
        self._apart = NamedSharding(mesh, PartitionSpec(("group", "peer")))
        self._together = NamedSharding(mesh, PartitionSpec("group"))
        self._me = jax.process_index()
        self._reader = next(group[0] for group in groups if self._me in group)
        self.reads = self._reader == self._me
        self._summed = jax.jit(self._sums, out_shardings=self._together)

    def share(self, batch: pa.RecordBatch | None) -> None:
        """Send a batch to the others, or that there are no more.

        Raises:
            MixteraError: A process that reads for others failed.
        """
        self._exchange(_END if batch is None else _BATCH, b"" if batch is None else _packed(batch))

    def fail(self, error: BaseException) -> None:
        """Send what reading failed with, so that nobody waits for what does not come; the caller raises it."""
        self._exchange(_FAILURE, told(error), raises=False)

    def receive(self) -> pa.RecordBatch | None:
        """What the process that reads sends; None: there are no more.

        Raises:
            MixteraError: It failed, or one that reads for others.
        """
        payload = self._exchange(_END, b"")
        return pa.ipc.open_stream(payload).read_next_batch() if payload is not None else None

    def _exchange(self, kind: int, payload: bytes, raises: bool = True) -> bytes | None:
        """What the reader of this group sends; None at the end."""
        headers = np.asarray(multihost_utils.process_allgather(np.array([kind, len(payload)], np.int32)))
        kinds, sizes = headers[:, 0], headers[:, 1]
        if not sizes.any():
            return None
        words = max(_LEAST_WORDS, 1 << (-(-int(sizes.max()) // 4) - 1).bit_length())
        own = np.zeros((1, words), np.int32)
        own.view(np.uint8)[0, : len(payload)] = np.frombuffer(payload, np.uint8)
        sent = jax.make_array_from_process_local_data(self._apart, own, (self._shape[0] * self._shape[1], words))
        found: Int32s = np.asarray(self._summed(sent).addressable_shards[0].data)
        content = found.view(np.uint8)[0, : sizes[self._reader]].tobytes()
        if raises and kinds[self._reader] == _FAILURE:
            raise understood(content)
        failed = np.flatnonzero(kinds == _FAILURE)
        if raises and len(failed):
            raise MixteraError(f"process {failed[0]}, which reads for others, failed; its log says why")
        return None if kinds[self._reader] == _END else content

    def _sums(self, words: jax.Array) -> jax.Array:
        """Of each group the words of its reader: the others have zeros."""
        return jnp.sum(words.reshape(*self._shape, -1), axis=1, dtype=words.dtype)


def _packed(batch: pa.RecordBatch) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return sink.getvalue().to_pybytes()  # type: ignore[no-any-return]
