"""What a run has written but not committed.

Everything that a run writes for a source lies in one directory, `warehouse/<source>/data/<run>/`. While the run goes
on, or after it died, the directory holds `run.json`, and one `<bundle>.json` beside each finished bundle. The next run
takes over the finished bundles that still fit, deletes the rest, and removes both kinds of JSON once it has committed.
Only the owner of the catalog's lock does any of this.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from mixtera.catalog.bundles import Scanned
from mixtera.catalog.columns import Column
from mixtera.catalog.model import Definition
from mixtera.catalog.writing import storage_errors
from mixtera.contracts.storage import FileInfo

RUN: Final = "run.json"
_T = TypeVar("_T")


class RunFacts(msgspec.Struct, frozen=True):
    """What a run's bundles were made for; a bundle is of use only to a run with the same."""

    definition: Definition
    columns: tuple[Column, ...]


@dataclass(frozen=True, slots=True)
class Staged:
    """A finished bundle and the directory it lies in."""

    directory: Path
    scanned: Scanned

    @property
    def data_file(self) -> str:
        """The Parquet file of samples, relative to the directory of all runs; empty when there is none."""
        return f"{self.directory.name}/{self.scanned.data_file}" if self.scanned.data_file else ""

    @property
    def bad_path(self) -> Path | None:
        """The Parquet file of quarantined records."""
        return self.directory / self.scanned.bad_file if self.scanned.bad_file else None


class Staging:
    """The runs of one source, finished and not."""

    def __init__(self, directory: Path, own: set[str] | None = None) -> None:
        """Use a directory.

        Args:
            directory: That of all runs of the source.
            own: Names of the runs of this process, where those of others get new names before they are taken over: at
                a URL, files under the old names may be there already, and old enough to be deleted any time.
        """
        self.directory, self._own = directory, own

    def start(self, facts: RunFacts) -> Path:
        """Make the directory of a new run."""
        run = self._new()
        with storage_errors(run):
            run.mkdir(parents=True)
            self._note(run)
            (run / RUN).write_bytes(msgspec.json.encode(facts))
        return run

    def leftovers(self, facts: RunFacts, files: Mapping[str, FileInfo], ids: Mapping[str, int]) -> list[Staged]:
        """Finished bundles of dead runs that hold what this run would write.

        Args:
            facts: What this run is for.
            files: Files this run has to read, by name.
            ids: Ids this run gives to them.
        """
        wanted = dict(files)
        found: list[Staged] = []
        for found_run in list(self._unfinished()):
            if _read(found_run / RUN, RunFacts) != facts:
                continue
            run = self._taken_over(found_run)
            for staged in _bundles(run):
                if all(
                    wanted.get(f.info.name) == f.info and ids[f.info.name] == f.file_id for f in staged.scanned.files
                ):
                    found.append(staged)
                    for file in staged.scanned.files:
                        del wanted[file.info.name]
        return found

    def _new(self) -> Path:
        return self.directory / f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{os.urandom(4).hex()}"

    def _note(self, run: Path) -> None:
        if self._own is not None:
            self._own.add(run.name)

    def _taken_over(self, run: Path) -> Path:
        """A run under the name that it has from now on."""
        if self._own is None or run.name in self._own:
            return run
        with storage_errors(run):
            named = run.rename(self._new())
        self._note(named)
        return named

    def clean(self, keep: Collection[Path]) -> None:
        """End all unfinished runs: delete what is not to be kept, then the notes that made them unfinished."""
        for run in list(self._unfinished()):
            _finish(run, set(keep))

    def settle(self, state: Callable[[], Collection[Path]]) -> None:
        """End runs whose files a committed state has, but that died before they could say so.

        Args:
            state: Gives the files of the newest state; asked only when there are unfinished runs.
        """
        unfinished = list(self._unfinished())
        committed = set(state()) if unfinished else set()
        for run in unfinished:
            if any(path.parent == run for path in committed):
                _finish(run, committed)

    def _unfinished(self) -> Iterator[Path]:
        if self.directory.is_dir():
            yield from sorted(run for run in self.directory.iterdir() if (run / RUN).exists())


def _finish(run: Path, keep: Collection[Path]) -> None:
    for path in run.iterdir():
        if path.name != RUN and path not in keep:
            path.unlink(missing_ok=True)
    (run / RUN).unlink()
    if not any(run.iterdir()):
        with suppress(OSError):  # a task of a cluster that was given up, and still writes
            run.rmdir()


def delete_unfinished(run: Path) -> None:
    """Delete what bundles of a run have written that did not get finished; for a run that failed but lives."""
    keep = {name for staged in _bundles(run) for name in (staged.scanned.data_file, staged.scanned.bad_file)}
    for path in run.iterdir():
        if path.suffix != ".json" and path.name not in keep:
            path.unlink(missing_ok=True)  # a task of a cluster may be at work yet


def note_finished(directory: Path, bundle: str, scanned: Scanned) -> None:
    """Write down that a bundle is finished, so that a later run can use it if this one dies."""
    note = directory / f"{bundle}.json"
    with storage_errors(note):
        part = note.with_suffix(".part")
        part.write_bytes(msgspec.json.encode(scanned))
        part.rename(note)


def _bundles(run: Path) -> Iterator[Staged]:
    for note in sorted(run.glob("*.json")):
        scanned = _read(note, Scanned) if note.name != RUN else None
        if scanned is not None and _complete(run, scanned):
            yield Staged(run, scanned)


def _complete(run: Path, scanned: Scanned) -> bool:
    return all((run / name).exists() for name in (scanned.data_file, scanned.bad_file) if name)


def _read(path: Path, type_: type[_T]) -> _T | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=type_)
    except (OSError, msgspec.DecodeError):
        return None
