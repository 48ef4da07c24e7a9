"""What two locks differ in: a pure function, and its own inverse when they are exchanged."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Generic, TypeVar

from mixtera.artifact.model import PlanComponent, TokenParameters
from mixtera.lockfile.model import LockBody, LockedFile, LockedSource, Scalar
from mixtera.lockfile.settings import settings
from mixtera.lockfile.tokens import locked_tokens, settings_of

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Change(Generic[T]):
    """Something with a name, before and after; None on the side that does not have it."""

    name: str
    before: T | None
    after: T | None

    def inverse(self) -> Change[T]:
        """The change back."""
        return Change(self.name, self.after, self.before)


@dataclass(frozen=True, slots=True)
class SourceChange:
    """A source whose files or format changed.

    Attributes:
        name: Its name.
        format: Its format, None on the side that does not have the source.
        files: Files added, gone or changed, by name.
    """

    name: str
    format: Change[str]
    files: tuple[Change[LockedFile], ...]

    def inverse(self) -> SourceChange:
        """The change back."""
        return SourceChange(self.name, self.format.inverse(), tuple(file.inverse() for file in self.files))

    @property
    def only_times(self) -> bool:
        """Whether files were touched or copied, and nothing else is known to have changed."""
        return self.format.before == self.format.after and all(_is_touched(file) for file in self.files)


@dataclass(frozen=True, slots=True)
class LockDifference:
    """What moved from one lock to another.

    Attributes:
        plan: The plan's digest, before and after.
        settings: Changed values of the order, tokens, delivery and `dynamic`, and the numbers of positions and samples.
        components: Components added, gone, or with another weight, size or end.
        sources: Sources added, gone or with other files.
        snapshots: Sources whose catalog snapshot is another, which alone means nothing: it was indexed again.
        before: Lines of the spec.
        after: Likewise.
        unit: What components count, in the plural.
    """

    plan: Change[str]
    settings: tuple[Change[Scalar], ...]
    components: tuple[Change[PlanComponent], ...]
    sources: tuple[SourceChange, ...]
    snapshots: tuple[Change[int], ...]
    before: tuple[str, ...]
    after: tuple[str, ...]
    unit: str = "samples"

    def __str__(self) -> str:
        from mixtera.lockfile.show import show

        return show(self, "before", "after")

    @property
    def moved(self) -> bool:
        """Whether a run would see other data or another order. Snapshots and the writing of the spec alone do not."""
        return bool(self.plan.before != self.plan.after or self.settings or self.components or self.sources)

    @property
    def only_times(self) -> bool:
        """Whether all that moved is the times of files, as after copying them."""
        return bool(self.sources) and self.moved_only_in_sources and all(one.only_times for one in self.sources)

    @property
    def moved_only_in_sources(self) -> bool:
        """Whether the plan is the same."""
        return self.plan.before == self.plan.after and not self.settings and not self.components

    def inverse(self) -> LockDifference:
        """The difference the other way round."""
        return LockDifference(
            self.plan.inverse(),
            tuple(one.inverse() for one in self.settings),
            tuple(one.inverse() for one in self.components),
            tuple(one.inverse() for one in self.sources),
            tuple(one.inverse() for one in self.snapshots),
            self.after,
            self.before,
            self.unit,
        )

    def spec_lines(self, before: str = "before", after: str = "after") -> list[str]:
        """The unified difference of the spec's lines; empty where one side does not know them or none differs."""
        if not (self.before and self.after):
            return []
        return list(difflib.unified_diff(self.before, self.after, before, after, lineterm=""))

    def to_json(self) -> dict[str, Any]:
        """The difference as JSON values."""
        values = asdict(self)
        del values["before"], values["after"]
        return {"moved": self.moved, **values, "spec": self.spec_lines()}


def sources_to_json(sources: Iterable[SourceChange]) -> list[dict[str, Any]]:
    """Sources that moved, as JSON values."""
    return [asdict(source) for source in sources]


def difference(before: LockBody, after: LockBody) -> LockDifference:
    """What is different in `after`."""
    return LockDifference(
        plan=Change("plan", before.plan, after.plan),
        settings=tuple(_changes(*settings(before, after))),
        components=tuple(_changes(_named(before.components), _named(after.components))),
        sources=tuple(_source_changes(_named(before.sources), _named(after.sources))),
        snapshots=tuple(_snapshots(_named(before.sources), _named(after.sources))),
        before=before.spec,
        after=after.spec,
        unit=after.unit if after.unit == before.unit else "positions",
    )


def tokens_moved(before: LockBody, now: TokenParameters | None) -> tuple[Change[Scalar], ...]:
    """What differs in how samples become tokens, before anything is counted.

    Args:
        before: What a lock says.
        now: What a spec says; None for samples as they are.
    """
    locked = None if before.tokens is None else replace(before.tokens, counts=())
    return tuple(_changes(settings_of(locked), settings_of(None if now is None else locked_tokens(now))))


def _named(values: Iterable[T]) -> dict[str, T]:
    return {value.name: value for value in values}  # type: ignore[attr-defined]


def _changes(
    before: Mapping[str, T], after: Mapping[str, T], same: Callable[[T, T], bool] = lambda one, other: one == other
) -> Iterable[Change[T]]:
    """The names of either side whose values are not the same, sorted."""
    for name in sorted(before.keys() | after.keys()):
        one, other = before.get(name), after.get(name)
        if one is None or other is None:
            if one is not other:
                yield Change(name, one, other)
        elif not same(one, other):
            yield Change(name, one, other)


def _source_changes(before: Mapping[str, LockedSource], after: Mapping[str, LockedSource]) -> Iterable[SourceChange]:
    for name in sorted(before.keys() | after.keys()):
        one, other = before.get(name), after.get(name)
        format_: Change[str] = Change("format", one.format if one else None, other.format if other else None)
        pair = [{} if source is None else _named(source.files) for source in (one, other)]
        files = tuple(_changes(pair[0], pair[1], LockedFile.is_same))
        if files or format_.before != format_.after:
            yield SourceChange(name, format_, files)


def _snapshots(before: Mapping[str, LockedSource], after: Mapping[str, LockedSource]) -> Iterable[Change[int]]:
    for name in sorted(before.keys() & after.keys()):
        one, other = before[name].snapshot, after[name].snapshot
        if one != other:
            yield Change(name, one, other)


def _is_touched(file: Change[LockedFile]) -> bool:
    before, after = file.before, file.after
    if before is None or after is None:
        return False
    same = (before.size, before.rows, before.etag) == (after.size, after.rows, after.etag)
    return same and _size(before.beside) == _size(after.beside)


def _size(beside: str | None) -> str:
    """What stays of a mark when the file is copied: all of it but the time."""
    return (beside or "").partition(", modified ")[0]
