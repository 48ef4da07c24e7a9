"""The scan of one source: cut into bundles, run, each finished one noted down."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final

from mixtera.catalog.bad import too_many_so_far
from mixtera.catalog.bundles import SMALLEST_BUNDLE_BYTES, BadRecord, Bundle, NumberedFile, Scanned
from mixtera.catalog.bundles import bundled as cut
from mixtera.catalog.columns import Column
from mixtera.catalog.executor import Executor
from mixtera.catalog.model import Definition
from mixtera.catalog.progress import shown
from mixtera.catalog.staging import Staged, delete_unfinished, note_finished
from mixtera.catalog.work import Work, flush_written
from mixtera.contracts.storage import FileInfo
from mixtera.spec.model import Source

_FLUSHED_AT_A_TIME: Final = 8


@dataclass
class Findings:
    """What the scan of a source has found so far.

    Attributes:
        staged: Finished bundles.
        samples: Samples in them.
        bad: Records that cannot be used.
        first_bad: The first few of those.
    """

    staged: list[Staged] = field(default_factory=list)
    samples: int = 0
    bad: int = 0
    first_bad: list[BadRecord] = field(default_factory=list)

    @property
    def files(self) -> int:
        """Files that were read to the end."""
        return sum(len(staged.scanned.files) for staged in self.staged)

    def add(self, staged: Staged) -> None:
        """Add a finished bundle."""
        self.staged.append(staged)
        self.samples += sum(file.samples for file in staged.scanned.files)
        self.bad += staged.scanned.bad
        self.first_bad += staged.scanned.first_bad


def scan_files(
    source: Source,
    definition: Definition,
    columns: tuple[Column, ...],
    files: Sequence[NumberedFile],
    noting: Noting,
    workers: Executor,
    progress: bool,
    meanwhile: Callable[[], None],
) -> None:
    """Scan files into the directory of a run; those that its findings have already are not scanned again.

    `meanwhile` is called in this process when the others have been started. What was written last may not be on the
    disk yet at the end; `noting.settle` waits for it.

    Raises:
        SampleError: A file as a whole is not of its format.
        StorageError: A file cannot be read or changed meanwhile; the catalog cannot be written.
    """
    have = {file.info.name for staged in noting.findings.staged for file in staged.scanned.files}
    missing = [file for file in files if file.info.name not in have]
    bundles = _bundles(source, definition, columns, missing, noting.run, workers)
    clean = False
    try:
        total = sum(bundle.bytes for bundle in bundles)
        with shown(source.name, total, progress) as advance:
            workers.scan(bundles, advance, noting.finished, meanwhile)
        clean = True
    finally:
        if not clean:
            noting.close()
            delete_unfinished(noting.run)


class Noting:
    """Adds finished pieces of work to findings, and notes them down for a run that comes after this.

    A piece is noted down when what it has written is on the disk; nobody waits for that, other pieces are worked on.
    Use it as a context manager: at its end all are noted down.
    """

    def __init__(self, source: Source, run: Path, findings: Findings) -> None:
        self._source, self.run, self.findings = source, run, findings
        self._threads = ThreadPoolExecutor(_FLUSHED_AT_A_TIME)
        self._notes: list[Future[None]] = []

    def __enter__(self) -> Noting:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.settle()
        self.close()

    def settle(self) -> None:
        """Return when all that was finished is noted down.

        Raises:
            StorageError: What a piece has written does not get to the disk.
        """
        for note in self._notes:
            note.result()

    def close(self) -> None:
        """Wait for what is being noted down, whatever comes of it; nothing else is."""
        self._threads.shutdown()

    def finished(self, piece: Work, scanned: Scanned) -> bool:
        """Take in a finished piece of work; whether to go on with others.

        Raises:
            StorageError: What another one has written does not get to the disk.
        """
        ready = {note for note in self._notes if note.done()}
        for note in ready:
            note.result()
        self._notes = [note for note in self._notes if note not in ready]
        self.findings.add(Staged(self.run, scanned))
        if too_many_so_far(self._source.on_bad_sample, self.findings.bad):
            return False
        self._notes.append(self._threads.submit(self._note, piece.name, scanned))
        return True

    def _note(self, name: str, scanned: Scanned) -> None:
        flush_written(self.run, scanned)
        note_finished(self.run, name, scanned)


def _bundles(
    source: Source,
    definition: Definition,
    columns: tuple[Column, ...],
    files: Sequence[NumberedFile],
    run: Path,
    workers: Executor,
) -> list[Bundle]:
    smallest = 1 if workers.given else SMALLEST_BUNDLE_BYTES
    return [
        Bundle(
            source.name,
            definition.format,
            definition.properties,
            definition.content,
            definition.paths,
            columns,
            definition.policy,
            tuple(bundle),
            str(run),
            str(number),
            source.storage,
        )
        for number, bundle in enumerate(cut(files, workers.most, smallest))
    ]


def numbered_files(files: Sequence[FileInfo], ids: Mapping[str, int]) -> list[NumberedFile]:
    """The files with their ids."""
    return [NumberedFile(file, ids[file.name]) for file in files]
