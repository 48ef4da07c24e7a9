"""One rank reads for its group: its messages go to the others by broadcast, as numbers and Arrow bytes, not pickled."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
import torch.distributed

from mixtera.adapters.failures import told, understood
from mixtera.adapters.torch.messages import Failure, Message

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup

_END: Final = 0
_MESSAGE: Final = 1
_FAILURE: Final = 2


def shared(messages: Iterator[Message | Failure], group: ProcessGroup) -> Iterator[Message | Failure]:
    """Messages of the rank that reads, each sent to the others before it is given on."""
    while True:
        try:
            message = next(messages, None)
        except BaseException as error:  # the others must not wait for what does not come
            _send(group, _FAILURE, told(error))
            raise
        match message:
            case None:
                _send(group, _END)
                return
            case Failure():
                _send(group, _FAILURE, told(message.error))
            case Message():
                _send(group, _MESSAGE, message.samples, message.step, message.turn)
        yield message


def received(group: ProcessGroup) -> Iterator[Message | Failure]:
    """What the first rank of a group sends, on the others."""
    while True:
        header = torch.empty(4, dtype=torch.int64)
        _broadcast(header, group)
        kind, size, step, turn = header.tolist()
        if kind == _END:
            return
        content = torch.empty(size, dtype=torch.uint8)
        _broadcast(content, group)
        payload = content.numpy().tobytes()
        yield Message(step, payload, turn) if kind == _MESSAGE else Failure(understood(payload))


def _send(group: ProcessGroup, kind: int, payload: bytes = b"", step: int = 0, turn: int = 1) -> None:
    _broadcast(torch.tensor([kind, len(payload), step, turn]), group)
    if kind != _END:
        _broadcast(torch.from_numpy(np.frombuffer(payload, np.uint8).copy()), group)


def _broadcast(numbers: torch.Tensor, group: ProcessGroup) -> None:
    torch.distributed.broadcast(numbers, group=group, group_src=0)
