"""What a run did."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SourceReport:
    """What one run did to one source.

    Attributes:
        source: Its name.
        new: Files that were not in the catalog.
        changed: Files that were read again, because they or the definition changed.
        gone: Files that were in the catalog and are not there any more.
        unchanged: Files that were not read.
        files: Files now in the catalog.
        samples: Samples now in the catalog.
        skipped: Records left out by `on_bad_sample: skip`, now.
        quarantined: Records left out and written down by `on_bad_sample: quarantine`, now.
        bytes: Bytes of the files that were read.
        snapshot_id: The snapshot that holds it.
        columns: Properties that were added to files that were there already, or made anew for them.
        unmatched: For each sidecar that was read: samples that it does not know.
    """

    source: str
    new: int
    changed: int
    gone: int
    unchanged: int
    files: int
    samples: int
    skipped: int
    quarantined: int
    bytes: int
    snapshot_id: int
    columns: tuple[str, ...] = ()
    unmatched: tuple[Unmatched, ...] = ()


@dataclass(frozen=True, slots=True)
class Unmatched:
    """Samples for which a sidecar was read, and those of them that it does not know."""

    sidecar: str
    samples: int
    unmatched: int


@dataclass(frozen=True, slots=True)
class IndexReport:
    """What the catalog now holds for a spec, and what it took.

    Attributes:
        files: Files in the catalog.
        samples: Samples in the catalog.
        skipped: Records left out by `on_bad_sample: skip`.
        quarantined: Records left out by `on_bad_sample: quarantine`.
        seconds: Wall time of the run.
        sources: The same for every source, with what was done.
    """

    files: int
    samples: int
    skipped: int
    quarantined: int
    seconds: float
    sources: tuple[SourceReport, ...] = ()

    @property
    def indexed_files(self) -> int:
        """Files that this run read."""
        return sum(source.new + source.changed for source in self.sources)
