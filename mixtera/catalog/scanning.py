"""The scan of one source: cut into bundles, run, each finished one noted down."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mixtera.catalog.bad import too_many_so_far
from mixtera.catalog.bundles import SMALLEST_BUNDLE_BYTES, BadRecord, Bundle, NumberedFile, Scanned
from mixtera.catalog.bundles import bundled as cut
from mixtera.catalog.columns import Column
from mixtera.catalog.model import Definition
from mixtera.catalog.pool import BYTES_PER_WORKER, scan_all
from mixtera.catalog.progress import shown
from mixtera.catalog.staging import Staged, delete_unfinished, note_finished
from mixtera.contracts.storage import FileInfo
from mixtera.spec.model import Source


@dataclass(frozen=True, slots=True)
class Options:
    """How to index.

    Attributes:
        workers: Processes; None for as many as there are processors and work for.
        progress: Whether to show a bar.
    """

    workers: int | None = None
    progress: bool = False


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
    options: Options,
) -> Findings:
    """Scan files into the directory of a run; what leftovers of dead runs hold is not scanned again.

    Raises:
        SampleError: A file as a whole is not of its format.
        StorageError: A file cannot be read or changed meanwhile; the catalog cannot be written.
    """
    findings = Findings()
    for staged in leftovers:
        findings.add(staged)
    have = {file.info.name for staged in leftovers for file in staged.scanned.files}
    missing = [file for file in files if file.info.name not in have]
    bundles = _bundles(source, definition, columns, missing, run, options)
    clean = False
    try:
        _scan(source, bundles, run, findings, options)
        clean = True
    finally:
        if not clean:
            delete_unfinished(run)
    return findings


def _scan(source: Source, bundles: Sequence[Bundle], run: Path, findings: Findings, options: Options) -> None:
    def finished(bundle: Bundle, scanned: Scanned) -> bool:
        findings.add(Staged(run, scanned))
        if too_many_so_far(source.on_bad_sample, findings.bad):
            return False
        note_finished(run, bundle.name, scanned)
        return True

    total = sum(bundle.bytes for bundle in bundles)
    with shown(source.name, total, options.progress) as advance:
        scan_all(bundles, _workers(total, options.workers), advance, finished)


def _bundles(
    source: Source,
    definition: Definition,
    columns: tuple[Column, ...],
    files: Sequence[NumberedFile],
    run: Path,
    options: Options,
) -> list[Bundle]:
    workers = options.workers or processors()
    smallest = SMALLEST_BUNDLE_BYTES if options.workers is None else 1
    return [
        Bundle(
            source.name,
            definition.format,
            definition.properties,
            definition.content,
            columns,
            definition.policy,
            tuple(bundle),
            str(run),
            str(number),
        )
        for number, bundle in enumerate(cut(files, workers, smallest))
    ]


def processors() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0))


def _workers(total_bytes: int, wanted: int | None) -> int:
    return wanted or min(processors(), 1 + total_bytes // BYTES_PER_WORKER)


def numbered_files(files: Sequence[FileInfo], ids: Mapping[str, int]) -> list[NumberedFile]:
    """The files with their ids."""
    return [NumberedFile(file, ids[file.name]) for file in files]
