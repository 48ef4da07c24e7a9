"""The catalog as users hold it: open, index, read one source."""

from __future__ import annotations

import datetime
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from mixtera.catalog.listing import list_files
from mixtera.catalog.lock import writing
from mixtera.catalog.opening import open_tables
from mixtera.catalog.progress import say
from mixtera.errors import CatalogError
from mixtera.spec.model import Source, Spec

if TYPE_CHECKING:
    import pyarrow as pa

    from mixtera.catalog.executor import Executor
    from mixtera.catalog.history import SnapshotFacts
    from mixtera.catalog.indexed import IndexedSource, Keyed
    from mixtera.catalog.pruning import Pruned
    from mixtera.catalog.report import IndexReport, SourceReport
    from mixtera.catalog.state import State
    from mixtera.catalog.statistics import PropertyStatistics
    from mixtera.catalog.tables import Tables
    from mixtera.catalog.verifying import SourceVerification


class Catalog:
    """The properties of all samples of some sources, in snapshots. It never holds the content."""

    def __init__(self, tables: Tables) -> None:
        """Use `Catalog.open`."""
        self._tables = tables

    @classmethod
    def open(cls, url: str, *, create: bool = True) -> Catalog:
        """Open a catalog; made when there is none.

        One at a URL is shown as it is now: what others commit later is seen by those who open it then, and by what
        changes it.

        Args:
            url: A path, or a URL of a storage on which catalogs can lie, such as `s3://bucket/catalog`.
            create: Whether to make it when there is none.

        Raises:
            CatalogError: There is none and `create` is false; the directory cannot be written, is something else, or
                is of a newer version; catalogs cannot lie on the URL's storage.
            StorageError: The URL cannot be read or written.
        """
        return cls(open_tables(url, create))

    @property
    def path(self) -> Path:
        """The directory; of a catalog at a URL, that with the copies of its files."""
        return self._tables.root

    @property
    def url(self) -> str:
        """Where the catalog lies, as `open` takes it."""
        return self._tables.shown

    def sources(self) -> tuple[str, ...]:
        """Names of the sources that are indexed, sorted."""
        return tuple(name for name in self._tables.sources() if self._tables.is_indexed(name))

    def index(
        self,
        spec: Spec,
        *,
        workers: int | None = None,
        progress: bool = False,
        executor: str | Executor = "local",
    ) -> IndexReport:
        """Bring the catalog up to date with the files of a spec; only new and changed files are read.

        Each source is committed at once: when a run fails or dies, a source is as it was, or all new.

        Args:
            spec: The spec; only its sources matter, and its tokens: they are counted where samples are packed.
            workers: Processes that read, this one among them; None for what the work is worth.
            progress: Whether to show a bar on stderr, if that is a terminal.
            executor: Where files are read: `local`, in processes of this machine, or `spark`; or an executor, which
                knows itself how many there are. The catalog is the same with any.

        Raises:
            EngineError: Spark failed; sources that it had not finished are as they were.
            SampleError: Records cannot be used, and more of them than the spec allows.
            StorageError: A file is missing, cannot be read, or changed meanwhile; the catalog cannot be written.
            SpecError: The type of a property cannot be inferred.
            CatalogError: The catalog cannot be written.
        """
        from mixtera.catalog.executor import executor_named
        from mixtera.catalog.indexing import index_source

        started = time.perf_counter()
        spec = _with_counts(spec)
        tables = self._tables
        chosen = executor_named(executor, workers) if isinstance(executor, str) else executor
        with writing(self.path, say, self.url), chosen as processes:
            listed = [(source, list_files(source)) for source in spec.sources]
            calls = [partial(index_source, tables, source, files, processes, progress) for source, files in listed]
            reports = [tables.as_newest(call) for call in calls]
        return _total(reports, time.perf_counter() - started)

    def verify(
        self, spec: Spec, *, workers: int | None = None, progress: bool = False
    ) -> tuple[SourceVerification, ...]:
        """Read every file of a spec again, whatever its fingerprint, and hold it against the catalog.

        Nothing is changed, and nobody is kept from writing.

        Args:
            spec: The spec; only its sources matter.
            workers: Processes that read, this one among them; None for what the work is worth.
            progress: Whether to show a bar on stderr, if that is a terminal.

        Returns:
            For each source what was compared, and the files that are not as the catalog has them.

        Raises:
            CatalogError: A source is not in the catalog, or was indexed as something else.
            SampleError: A file as a whole is not of its format.
            StorageError: A file cannot be listed or read.
        """
        from mixtera.catalog.existing.pinning import verify_table
        from mixtera.catalog.pool import Workers
        from mixtera.catalog.verifying import verify_source

        def verified(source: Source) -> SourceVerification:
            state = self.state(source.name)
            if source.table is not None:
                return verify_table(self._tables, source, source.table, state)
            return verify_source(self._tables, source, state, list_files(source), processes, progress)

        for source in spec.sources:
            self.source(source)
        with Workers(workers) as processes:
            return tuple(map(verified, spec.sources))

    def source(self, source: Source) -> IndexedSource:
        """The newest snapshot of a source, as the spec describes it.

        Raises:
            CatalogError: It is not in the catalog, or was indexed as something else.
        """
        from mixtera.catalog.reading import indexed_source

        return indexed_source(self._tables, source)

    def state(self, name: str) -> State:
        """The newest committed state of a source, whatever the spec says.

        Raises:
            CatalogError: It is not in the catalog.
        """
        from mixtera.catalog.state import read_state

        state = read_state(self._tables, name)
        if state is None:
            known = ", ".join(self.sources()) or "nothing"
            raise CatalogError(f"source {name!r} is not in the catalog {self.url}; it holds: {known}")
        return state

    def data_files(self, name: str) -> tuple[str, ...]:
        """Paths of the Parquet files of the newest state of a source, ordered.

        Raises:
            CatalogError: It is not in the catalog.
        """
        from mixtera.catalog.reading import data_files

        return data_files(self._tables, self.state(name))

    def keyed(self, name: str) -> Keyed | None:
        """How the rows of `data_files` name their samples, where they are those of a table of others; else None.

        Raises:
            CatalogError: It is not in the catalog, or what was pinned of the table cannot be read.
        """
        from mixtera.catalog.reading import data_files, keyed

        state = self.state(name)
        return None if state.definition.table is None else keyed(self._tables, state, data_files(self._tables, state))

    def quarantine(self, name: str) -> pa.Table:
        """Records of a source that were left out by `on_bad_sample: quarantine`: file, row, offset, reason, excerpt.

        Raises:
            CatalogError: It is not in the catalog.
        """
        from mixtera.catalog.state import read_bad

        return read_bad(self._tables, self.state(name))

    def history(self, name: str) -> list[SnapshotFacts]:
        """The snapshots of a source, newest first."""
        from mixtera.catalog.history import history

        return history(self._tables, name)

    def statistics(self, name: str, only: str | None = None) -> list[PropertyStatistics]:
        """Counts and values of the properties of a source.

        Args:
            name: The source.
            only: One property; None for all.

        Raises:
            CatalogError: The source is not in the catalog, or has no such property.
        """
        from mixtera.catalog.statistics import statistics

        definition = self.state(name).definition
        if only is not None and only not in definition.types:
            raise CatalogError(f"source {name!r} has no property {only!r}; it has: {', '.join(definition.types)}")
        return statistics(self.data_files(name), definition, only)

    def drop(self, name: str) -> None:
        """Forget a source and delete what the catalog has of it; its files stay as they are.

        Raises:
            CatalogError: It is not in the catalog, or cannot be deleted.
        """
        from mixtera.catalog.dropping import drop_source

        with writing(self.path, say, self.url):
            self._tables.as_newest(partial(drop_source, self._tables, name))

    def prune(
        self, *, keep: int = 10, older_than: datetime.timedelta = datetime.timedelta(days=7), dry_run: bool = False
    ) -> Pruned:
        """Delete what no kept state needs: old states of sources, and files of runs that never ended.

        Others may read and index meanwhile, and it may be killed: the next call goes on.

        Args:
            keep: States of each source, and commits of a catalog at a URL, that are kept at least.
            older_than: What is younger is kept, and all states that were the newest at some time of it; an hour at
                least, and more than any run of `index` takes.
            dry_run: Delete nothing, and tell what would be.

        Raises:
            CatalogError: `keep` or `older_than` is too small; a table cannot be read, or a file cannot be deleted.
            StorageError: One cannot be at a URL.
        """
        from mixtera.catalog.pruning import LEAST_SECONDS, prune

        seconds = older_than.total_seconds()
        if keep < 1 or seconds < LEAST_SECONDS:
            raise CatalogError(
                f"a catalog is not pruned to {keep} states and {seconds:g} seconds: at least 1 state is kept, and at "
                f"least {LEAST_SECONDS:,} seconds, since an index may be at work"
            )
        with writing(self.path, say, self.url):
            call = partial(prune, self._tables, keep, round(seconds * 1e9), dry_run=dry_run)
            return self._tables.as_newest(call)

    def close(self) -> None:
        """End the use of the catalog. Nothing stays open between calls, so nothing is lost without it."""

    def __repr__(self) -> str:
        return f"Catalog({self.url!r})"


def _with_counts(spec: Spec) -> Spec:
    """The spec with the token counts that it needs; a spec without tokens loads nothing for it."""
    if spec.tokens is None:
        return spec
    from mixtera.tokens.counted import counted

    return counted(spec)


def _total(sources: Sequence[SourceReport], seconds: float) -> IndexReport:
    from mixtera.catalog.report import IndexReport

    return IndexReport(
        sum(source.files for source in sources),
        sum(source.samples for source in sources),
        sum(source.skipped for source in sources),
        sum(source.quarantined for source in sources),
        seconds,
        tuple(sources),
    )
