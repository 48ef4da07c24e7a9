"""The difference of two locks as text for people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from mixtera.artifact.model import PlanComponent
from mixtera.lockfile.difference import Change, LockDifference, SourceChange
from mixtera.lockfile.model import LockedFile, Scalar
from mixtera.lockfile.settings import SECTIONS, section_of
from mixtera.lockfile.tokens import shown

_SHOWN: Final = 12
"""Files of a source and components that the text lists; JSON has all of them."""

_KNOWN_OR_NOT: Final = ("etag", "modified", "beside it")
"""What a lock may leave out; of anything else, no value says that there is none."""

_LINES: Final = 100
"""Lines of the difference of specs that the text has."""

COPIED: Final = (
    "Only times of files differ, as after copying them: `mixtera lock --portable` writes a lock that leaves them out"
)


def show(found: LockDifference, before: str, after: str) -> str:
    """The difference, a section for each kind of thing that moved; what is unchanged is not named.

    Args:
        found: The difference.
        before: What the lines of the spec before are called.
        after: Likewise.
    """
    return "\n".join(_lines(found, before, after))


def _lines(found: LockDifference, before: str, after: str) -> Iterator[str]:
    for source in found.sources:
        yield from source_lines(source)
    sections = {
        label: settings_lines(change for change in found.settings if section_of(change.name) == label)
        for label in SECTIONS
    }
    for label, changes in {"components": _components(found), **sections}.items():
        if changes:
            yield label
            yield from _cut(changes)
    if lines := found.spec_lines(before, after):
        yield "spec"
        yield from _cut(lines, _LINES)
    if found.plan.before != found.plan.after:
        yield f"plan {found.plan.before} → {found.plan.after}"


def show_settings(settings: Iterable[Change[Scalar]], label: str) -> str:
    """Values that moved, under a label."""
    return "\n".join([label, *_cut(settings_lines(settings))])


def show_sources(sources: Iterable[SourceChange]) -> str:
    """The files of some sources that moved."""
    return "\n".join(line for source in sources for line in source_lines(source))


def source_lines(source: SourceChange) -> Iterator[str]:
    """The files of a source that moved."""
    counts = [
        (sum(file.before is None for file in source.files), "added"),
        (sum(file.before is not None and file.after is not None for file in source.files), "changed"),
        (sum(file.after is None for file in source.files), "gone"),
    ]
    said = ", ".join(f"{count:,} {what}" for count, what in counts if count) or "the same files"
    yield f"source {source.name}{_kind(source)}: {said}"
    yield from _cut([_file(file) for file in source.files])


def _kind(source: SourceChange) -> str:
    before, after = source.format.before, source.format.after
    if before is None or after is None:
        return " (new)" if before is None else " (gone)"
    return "" if before == after else f" (format {before} → {after})"


def _file(file: Change[LockedFile]) -> str:
    before, after = file.before, file.after
    if before is None or after is None:
        known = before or after
        assert known is not None
        return f"{'+' if before is None else '-'} {file.name}  {_rows(known.rows)}{known.size:,} bytes"
    said = [
        _arrow("rows", before.rows, after.rows),
        _arrow("bytes", before.size, after.size),
        _arrow("etag", before.etag, after.etag),
        _arrow("modified", before.modified, after.modified),
        _arrow("beside it", before.beside, after.beside),
    ]
    return f"~ {file.name}  {', '.join(filter(None, said))}"


def _rows(rows: int) -> str:
    return f"{rows:,} row{'' if rows == 1 else 's'}, " if rows else ""  # 0 of a file that nobody has indexed


def _components(found: LockDifference) -> list[str]:
    return [_component(change, found.unit) for change in found.components]


def _component(change: Change[PlanComponent], unit: str) -> str:
    before, after = change.before, change.after
    if before is None or after is None:
        known = before or after
        assert known is not None
        return f"{'+' if before is None else '-'} {change.name}  weight {known.weight:g}, {known.samples:,} {unit}"
    said = [
        _arrow("weight", before.weight, after.weight),
        _arrow(unit, before.samples, after.samples),
        _arrow("places", before.places, after.places) if before.samples == after.samples else "",
        _arrow("on_exhaust", before.on_exhaust, after.on_exhaust),
    ]
    return f"~ {change.name}  {', '.join(filter(None, said))}"


def settings_lines(settings: Iterable[Change[Scalar]]) -> list[str]:
    """Values that are others."""
    return [f"~ {_arrow(change.name, change.before, change.after)}" for change in settings]


def _arrow(what: str, before: Scalar, after: Scalar) -> str:
    return "" if before == after else f"{what} {_value(what, before)} → {_value(what, after)}"


def _value(what: str, value: Scalar) -> str:
    if value is None:
        return "without end" if what in ("positions", "places") else "unknown" if what in _KNOWN_OR_NOT else "none"
    if what == "seed":
        return str(value)
    if isinstance(value, str):
        return shown(what, value)
    return f"{value:.6g}" if isinstance(value, float) else f"{value:,}"


def _cut(lines: list[str], shown: int = _SHOWN) -> Iterator[str]:
    yield from (f"  {line}" for line in lines[:shown])
    if len(lines) > shown:
        yield f"  … and {len(lines) - shown:,} more; `--json` has all of them"
