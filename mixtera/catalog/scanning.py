"""The scan of one source: cut into bundles, run, each finished one noted down."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mixtera.catalog.bad import too_many_so_far
from mixtera.catalog.bundles import SMALLEST_BUNDLE_BYTES, BadRecord, Bundle, NumberedFile, Scanned
from mixtera.catalog.bundles import bundled as cut
from mixtera.catalog.columns import Column
from mixtera.catalog.executor import Executor, Finished
from mixtera.catalog.model import Definition
from mixtera.catalog.progress import shown
from mixtera.catalog.staging import Staged, delete_unfinished, note_finished
from mixtera.catalog.work import Work
from mixtera.contracts.storage import FileInfo
from mixtera.spec.model import Source


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
    run: Path,
    leftovers: Sequence[Staged],
    workers: Executor,
    progress: bool,
    meanwhile: Callable[[], None],
) -> Findings:
    """Scan files into the directory of a run; what leftovers of dead runs hold is not scanned again.

    `meanwhile` is called in this process when the others have been started.

    Raises:
        SampleError: A file as a whole is not of its format.
        StorageError: A file cannot be read or changed meanwhile; the catalog cannot be written.
    """
    findings = Findings()
    for staged in leftovers:
        findings.add(staged)
    have = {file.info.name for staged in leftovers for file in staged.scanned.files}
    missing = [file for file in files if file.info.name not in have]
    bundles = _bundles(source, definition, columns, missing, run, workers)
    clean = False
    try:
        with shown(source.name, sum(bundle.bytes for bundle in bundles), progress) as advance:
            workers.scan(bundles, advance, noting(source, run, findings), meanwhile)
        clean = True
    finally:
        if not clean:
            delete_unfinished(run)
    return findings


def noting(source: Source, run: Path, findings: Findings) -> Finished:
    """What is done with each finished piece of work: it is added, and noted down for a run that comes after this."""

    def finished(bundle: Work, scanned: Scanned) -> bool:
        findings.add(Staged(run, scanned))
        if too_many_so_far(source.on_bad_sample, findings.bad):
            return False
        note_finished(run, bundle.name, scanned)
        return True

    return finished


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
