"""A plan on disk: one small JSON document and a few flat files that open by memory map."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mixtera.artifact import pages, variation
from mixtera.artifact.atomic import replacing
from mixtera.artifact.marks import Mark, mark_of
from mixtera.artifact.model import (
    ENTRIES,
    FILES,
    FORMAT_VERSION,
    FRAMES,
    NO_FRAMES,
    SEGMENTS,
    Beginning,
    Delivery,
    OrderParameters,
    PlanComponent,
    PlanData,
    PlanSource,
    Steering,
    TokenLayout,
    TokenParameters,
)
from mixtera.artifact.remap import remapped
from mixtera.errors import PlanError, StorageError
from mixtera.mapped import Column, steps
from mixtera.order.blocks import Blocks
from mixtera.order.fitting import Windows
from mixtera.order.timeline import ORDER_VERSION, Phase, Timeline

DOCUMENT: Final = "plan.json"
_TABLES: Final = {"files": FILES, "segments": SEGMENTS, "entries": ENTRIES}
_FRAMES: Final = "frames.arrow"
_REMEMBERED: Final = "remembered.i64"
_PLAIN_VERSION: Final = 1
"""Format version of a plan that older releases can read as well."""
_VARIED_VERSION: Final = 2
_TOKENS_VERSION: Final = 3
_WINDOWS: Final = ("window_documents.u32", "window_rows.u32")
_TOKENS: Final = "tokens.u32"
_ENTRY_TOKENS: Final = "entry_tokens.i64"
_BEGINNING: Final = b'{"mixtera_plan":'
_NAME: Final = re.compile(r"[a-z_]+\.[a-z0-9]+")


class _Phase(msgspec.Struct, frozen=True):
    first: int
    weights: tuple[float, ...]
    base: tuple[int, ...]


class _Timeline(msgspec.Struct, frozen=True):
    """A timeline without its order version, which is that of the plan."""

    phases: tuple[_Phase, ...]
    total: int | None

    @classmethod
    def of(cls, timeline: Timeline) -> _Timeline:
        return cls(tuple(_Phase(phase.first, phase.weights, phase.base) for phase in timeline.phases), timeline.total)

    def timeline(self, order_version: int, blocks: Blocks | None) -> Timeline:
        phases = (Phase(phase.first, phase.weights, phase.base, order_version, blocks) for phase in self.phases)
        return Timeline(tuple(phases), self.total)


class _Body(msgspec.Struct, frozen=True):
    digest: str
    order_version: int
    name: str
    sources: tuple[PlanSource, ...]
    components: tuple[PlanComponent, ...]
    order: OrderParameters
    timeline: _Timeline
    component_entries: tuple[int, ...]
    marks: dict[str, Mark]
    facts: dict[str, Any]
    variation: variation.Summary | None = None
    begins: Beginning | None = None
    tokens: TokenParameters | msgspec.UnsetType = msgspec.UNSET
    steering: Steering | msgspec.UnsetType = msgspec.UNSET
    delivery: Delivery | msgspec.UnsetType = msgspec.UNSET
    pages: pages.Pages | msgspec.UnsetType = msgspec.UNSET


class _Document(msgspec.Struct, frozen=True):
    mixtera_plan: int
    checksum: int
    body: msgspec.Raw


@dataclass(frozen=True)
class OpenedPlan:
    """A plan as it was found on disk: its content and the digest written with it."""

    data: PlanData
    digest: str


@dataclass(frozen=True)
class Contents:
    """The files beside the document of a plan.

    Attributes:
        sizes: Name → bytes.
        paged: Those of them that may come in pages.
    """

    sizes: Mapping[str, int]
    paged: frozenset[str]


def write(path: str, data: PlanData, digest: str, *, durable: bool = True) -> None:
    """Write a plan to a directory, whole or not at all; an older plan there is replaced in one step.

    Args:
        path: The directory; its parents are made.
        data: The plan.
        digest: Its digest.
        durable: Whether it must survive a power cut; a temporary plan need not.

    Raises:
        PlanError: Something that is not a plan lies there.
        StorageError: It cannot be written.
    """
    target = Path(path)
    _check_replaceable(target)
    try:
        with replacing(target.absolute(), durable) as directory:
            for name, table in (("files", data.files), ("segments", data.segments), ("entries", data.entries)):
                _write_table(directory / f"{name}.arrow", table.cast(_TABLES[name]))
            _write_array(directory / "rows.u16", data.rows, "<u2")
            wide = data.starts.dtype.itemsize == 8
            _write_array(directory / _starts_name(wide), data.starts, "<u8" if wide else "<u4")
            if len(data.frames):
                _write_table(directory / _FRAMES, data.frames.cast(FRAMES))
            if len(data.remembered):
                _write_array(directory / _REMEMBERED, data.remembered, "<i8")
            if data.tokens is not None:
                _write_array(directory / _TOKENS, data.tokens.counts, "<u4")
                _write_array(directory / _ENTRY_TOKENS, data.tokens.entry_counts, "<i8")
                if data.tokens.windows is not None:
                    _write_array(directory / _WINDOWS[0], data.tokens.windows.documents, "<u4")
                    _write_array(directory / _WINDOWS[1], data.tokens.windows.rows, "<u4")
            summary = variation.write(directory, data.variation)
            in_pages = pages.write(directory)
            (directory / DOCUMENT).write_bytes(_encode(data, digest, directory, summary, in_pages))
    except OSError as error:
        raise StorageError(f"the plan cannot be written to {path}: {error.strerror or error}") from error


def open(path: str, remap: Mapping[str, str] | None = None, source: pages.Opener | None = None) -> OpenedPlan:
    """Open a plan by memory map; nothing is copied, and only sizes and samples of the files are checked.

    Args:
        path: The directory.
        remap: URL prefix → URL prefix, for data that lies elsewhere on this machine.
        source: Where the pages of an array come from that are not there; None: all are.

    Raises:
        PlanError: It is not a plan, is damaged, or is of a newer version, or a prefix fits no file.
    """
    directory = Path(path)
    body = _parsed(_document(directory), directory)
    in_pages = {} if source is None else _sums(directory, body)
    for name, mark in body.marks.items():
        _check_file(directory / name, mark, sampled=name not in in_pages)

    def column(path: Path, dtype: str) -> Any:  # noqa: ANN401 - of the type that is named
        if source is None or path.name not in in_pages:
            return _map_array(path, dtype)
        return pages.PagedArray(path, dtype, in_pages[path.name], source(path.name, path.stat().st_size))

    wide = _starts_name(True) in body.marks
    delivery = None if isinstance(body.delivery, msgspec.UnsetType) else body.delivery
    files = _read_table(directory / "files.arrow", FILES)
    data = PlanData(
        name=body.name,
        sources=body.sources,
        components=body.components,
        order=body.order,
        timeline=body.timeline.timeline(body.order_version, None if delivery is None else delivery.blocks),
        files=remapped(files, remap) if remap else files,
        segments=_read_table(directory / "segments.arrow", SEGMENTS),
        entries=_read_table(directory / "entries.arrow", ENTRIES),
        component_entries=np.array(body.component_entries, np.int64),
        rows=column(directory / "rows.u16", "<u2"),
        starts=column(directory / _starts_name(wide), "<u8" if wide else "<u4"),
        frames=_read_table(directory / _FRAMES, FRAMES) if _FRAMES in body.marks else NO_FRAMES,
        variation=variation.read(directory, body.variation, _map_array, column),
        begins=body.begins,
        remembered=_map_array(directory / _REMEMBERED, "<i8") if _REMEMBERED in body.marks else np.empty(0, np.int64),
        tokens=_tokens(directory, body.tokens, column),
        steering=None if isinstance(body.steering, msgspec.UnsetType) else body.steering,
        delivery=delivery,
        facts=body.facts,
    )
    return OpenedPlan(data, body.digest)


def _tokens(
    directory: Path, parameters: TokenParameters | msgspec.UnsetType, column: Callable[[Path, str], Column]
) -> TokenLayout | None:
    if isinstance(parameters, msgspec.UnsetType):
        return None
    counts, sums = column(directory / _TOKENS, "<u4"), _map_array(directory / _ENTRY_TOKENS, "<i8")
    windows = Windows(*(_map_array(directory / name, "<u4") for name in _WINDOWS)) if parameters.fits else None
    return TokenLayout(parameters, counts, sums, windows)


def _starts_name(wide: bool) -> str:
    return "starts.u64" if wide else "starts.u32"


def is_document(content: bytes) -> bool:
    """Whether bytes begin as the document of a plan does."""
    return content.startswith(_BEGINNING)


def contents_of(document: bytes, where: str) -> Contents:
    """The files beside the document of a plan, as it says.

    Args:
        document: Its bytes.
        where: Where the plan lies, for messages.

    Raises:
        PlanError: It is damaged, or of a newer version.
    """
    body = _parsed(document, where)
    for name in body.marks:
        if not _NAME.fullmatch(name):
            raise _damaged(where, f"{name!r} cannot be a file of it")
    paged = () if isinstance(body.pages, msgspec.UnsetType) else body.pages.files
    return Contents({name: mark.bytes for name, mark in body.marks.items()}, frozenset(paged) & frozenset(pages.NAMES))


def names_of(directory: Path) -> list[str]:
    """Names of the files beside the document of a plan, as it says.

    Raises:
        PlanError: It is damaged, or of a newer version.
    """
    return list(contents_of(_document(directory), str(directory)).sizes)


def _sums(directory: Path, body: _Body) -> dict[str, pages.Sums]:
    """The checksums of the pages of each array that has them."""
    if isinstance(body.pages, msgspec.UnsetType):
        return {}
    try:
        found = pages.sums_of(
            (directory / pages.SUMS).read_bytes(), body.pages, [body.marks[name].bytes for name in body.pages.files]
        )
    except FileNotFoundError:
        raise _damaged(directory, f"{pages.SUMS} is missing") from None
    if found is None:
        raise _damaged(directory, f"{pages.SUMS} was changed")
    return {name: sums for name, sums in found.items() if name in pages.NAMES}


def _check_replaceable(path: Path) -> None:
    if not path.exists() and not path.is_symlink():
        return
    if path.is_symlink() or not path.is_dir():
        raise PlanError(f"{path} is not a directory: a plan is saved to a new directory or over an older plan")
    if any(path.iterdir()) and not _is_plan(path):
        raise PlanError(f"{path} holds something that is not a plan: save to a new directory, or empty this one first")


def _is_plan(path: Path) -> bool:
    try:
        with (path / DOCUMENT).open("rb") as file:
            return is_document(file.read(len(_BEGINNING)))
    except OSError:
        return False


def _write_table(path: Path, table: pa.Table) -> None:
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table.combine_chunks())


def _write_array(path: Path, values: Column, dtype: str) -> None:
    with path.open("wb") as sink:
        for part in steps(values):
            sink.write(np.ascontiguousarray(part, dtype).data)


def _encode(
    data: PlanData,
    digest: str,
    directory: Path,
    summary: variation.Summary | None,
    in_pages: pages.Pages | None = None,
) -> bytes:
    marks = {file.name: mark_of(file) for file in sorted(directory.iterdir())}
    body = _Body(
        digest=digest,
        order_version=data.order_version,
        name=data.name,
        sources=data.sources,
        components=data.components,
        order=data.order,
        timeline=_Timeline.of(data.timeline),
        component_entries=tuple(data.component_entries.tolist()),
        marks=marks,
        facts=data.facts,
        variation=summary,
        begins=data.begins,
        tokens=msgspec.UNSET if data.tokens is None else data.tokens.parameters,
        steering=msgspec.UNSET if data.steering is None else data.steering,
        delivery=msgspec.UNSET if data.delivery is None else data.delivery,
        pages=msgspec.UNSET if in_pages is None else in_pages,
    )
    raw = msgspec.json.encode(body)
    version = _PLAIN_VERSION if summary is None and data.begins is None else _VARIED_VERSION
    version = version if data.tokens is None else _TOKENS_VERSION
    version = version if data.steering is None and data.delivery is None else FORMAT_VERSION
    return msgspec.json.encode(_Document(version, zlib.crc32(raw), msgspec.Raw(raw)))


def _document(directory: Path) -> bytes:
    if not _is_plan(directory):
        what = "does not exist" if not directory.exists() else f"is not a plan: it has no {DOCUMENT} of one"
        raise PlanError(f"{directory} {what}; `mixtera compile SPEC -o PLAN` makes one")
    return (directory / DOCUMENT).read_bytes()


def _parsed(content: bytes, where: str | Path) -> _Body:
    try:
        document = msgspec.json.decode(content, type=_Document)
        if document.mixtera_plan > FORMAT_VERSION:
            raise _newer(where, "format", document.mixtera_plan, FORMAT_VERSION)
        if zlib.crc32(document.body) != document.checksum:
            raise _damaged(where, f"{DOCUMENT} was changed")
        body = msgspec.json.decode(document.body, type=_Body)
    except msgspec.MsgspecError as error:
        raise _damaged(where, f"{DOCUMENT}: {error}") from error
    if not isinstance(body.pages, msgspec.UnsetType) and not {*body.pages.files, pages.SUMS} <= set(body.marks):
        raise _damaged(where, f"{DOCUMENT} names pages of files that it has not")
    if body.order_version > ORDER_VERSION:
        raise _newer(where, "order", body.order_version, ORDER_VERSION)
    return body


def _newer(where: str | Path, what: str, found: int, known: int) -> PlanError:
    return PlanError(
        f"{where} was made by a newer Mixtera ({what} version {found}, this one reads up to {known}): "
        "upgrade Mixtera, or compile the spec again"
    )


def _damaged(where: str | Path, reason: str) -> PlanError:
    return PlanError(f"the plan {where} is damaged: {reason}; copy it again, or compile the spec again")


def _check_file(path: Path, mark: Mark, sampled: bool) -> None:
    try:
        found = mark_of(path) if sampled else Mark(path.stat().st_size, mark.checksum)
    except FileNotFoundError:
        raise _damaged(path.parent, f"{path.name} is missing") from None
    except OSError as error:
        raise StorageError(f"{path} cannot be read: {error.strerror or error}") from error
    if found.bytes != mark.bytes:
        raise _damaged(path.parent, f"{path.name} has {found.bytes:,} bytes instead of {mark.bytes:,}")
    if found.checksum != mark.checksum:
        raise _damaged(path.parent, f"{path.name} was changed")


def _read_table(path: Path, schema: pa.Schema) -> pa.Table:
    try:
        table = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
    except pa.ArrowInvalid as error:
        raise _damaged(path.parent, f"{path.name}: {error}") from error
    if table.schema != schema:
        raise _damaged(path.parent, f"{path.name} has other columns than a plan's")
    return table


def _map_array(path: Path, dtype: str) -> npt.NDArray[Any]:
    if path.stat().st_size == 0:
        return np.empty(0, dtype)
    return np.asarray(np.memmap(path, dtype, mode="r"))
