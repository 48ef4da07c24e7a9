"""Collects the sources of a draft: names, paths as the spec will have them, and what cannot be read here."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain, count
from urllib.parse import urlsplit

from mixtera.importers.findings import Findings
from mixtera.importers.kinds_of_files import is_json
from mixtera.importers.model import DraftProperty, DraftSource
from mixtera.importers.naming import Names, property_name, source_name, words_of
from mixtera.importers.options import Options
from mixtera.registry import split_format
from mixtera.spec.captures import without_captures
from mixtera.spec.document import Scalar
from mixtera.spec.model import Place
from mixtera.spec.paths import problem_of


class Sources:
    """The sources of a draft."""

    def __init__(self, options: Options, findings: Findings) -> None:
        self._options = options
        self._findings = findings
        self._names = Names()
        self._homes: dict[tuple[str, ...], str] = {}
        self._guessed: list[str] = []
        self.all: list[DraftSource] = []

    def add(
        self,
        name: str,
        paths: Sequence[str],
        format_name: str,
        place: Place,
        *,
        content: Sequence[tuple[str, str]] = (),
        properties: Sequence[DraftProperty] = (),
        comments: Sequence[str] = (),
    ) -> str:
        """Add a source; returns the name it got. Without content, the field of the options is assumed."""
        unique = self._names.new(source_name(name))
        said = list(comments)
        twin = self._homes.setdefault(tuple(paths), unique)
        if twin != unique:
            said.append(f"The same files as {twin}: a source of its own, because each is passed through on its own.")
        if format_name == "jsonl" and any(is_json(path) for path in paths):
            message = f"{unique}: files named .json are read as JSON Lines, one record a line; one document is not read"
            self._findings.untranslated(place, message)
        columns = tuple(content) or (("text", self._options.field),)
        if not content and self._options.content is None:
            self._guessed.append(unique)
        self.all.append(DraftSource(unique, tuple(paths), format_name, columns, tuple(properties), tuple(said), place))
        return unique

    def placed(self, scalar: Scalar, path: str | None = None) -> str | None:
        """A path of the input as the spec will have it; None where a spec may not have it, which is reported.

        Args:
            scalar: Where it stands.
            path: The path, where it is not the scalar itself.
        """
        given = scalar.text if path is None else path
        if problem := problem_of(given):
            self._findings.wrong(scalar.place, problem)
            return None
        return placed(without_captures(given), scalar.source.file, self._options.folder)

    def finished(self) -> tuple[DraftSource, ...]:
        """All sources, after what cannot be read here is listed and they fit together."""
        self._list_schemes()
        self._list_guesses()
        return self._list_formats(_with_own_types(self._with_equal_columns(tuple(self.all))))

    def _list_guesses(self) -> None:
        if self._guessed:
            place = next(source.place for source in self.all if source.name == self._guessed[0])
            message = f"which field training reads is not said for {words_of(tuple(self._guessed))}: `content:` is a"
            self._findings.untranslated(place, f"{message} guess; `--content FIELD` gives another")

    def _list_schemes(self) -> None:
        unknown: dict[str, list[DraftSource]] = {}
        for source in self.all:
            schemes = {urlsplit(path).scheme for path in source.paths if "://" in path}
            for scheme in sorted(schemes - set(self._options.installed.schemes)):
                unknown.setdefault(scheme, []).append(source)
        for scheme, sources in unknown.items():
            names = words_of(tuple(source.name for source in sources))
            message = f"no installed storage knows {scheme}:// (sources: {names}): copy the files, or install one"
            self._findings.untranslated(sources[0].place, message)

    def _list_formats(self, sources: tuple[DraftSource, ...]) -> tuple[DraftSource, ...]:
        missing: dict[str, list[DraftSource]] = {}
        for source in sources:
            name, _ = split_format(source.format)
            if name not in self._options.installed.formats:
                missing.setdefault(name, []).append(source)
        for name, found in missing.items():
            names = words_of(tuple(source.name for source in found))
            message = (
                f"the format {name!r} is not installed (sources: {names}): `mixtera check` names it until it is, or "
                "until `format:` and `path:` name files that can be read"
            )
            self._findings.untranslated(found[0].place, message)
        note = "not installed: see above"
        return tuple(replace(s, format_note=note) if split_format(s.format)[0] in missing else s for s in sources)

    def _with_equal_columns(self, sources: tuple[DraftSource, ...]) -> tuple[DraftSource, ...]:
        """All sources of a spec deliver the same columns: those that all have, or one of each."""
        columns = [dict(source.content) for source in sources]
        common = [name for name in columns[0] if all(name in other for other in columns)] if columns else []
        return tuple(self._reduced(source, common) for source in sources)

    def _reduced(self, source: DraftSource, common: Sequence[str]) -> DraftSource:
        content = dict(source.content)
        kept = {name: content[name] for name in common} or {"text": _text_of(content)}
        lost = [path for path in content.values() if path not in kept.values()]
        if lost:
            message = (
                f"{source.name}: {', '.join(lost)} cannot be delivered: all sources of a spec deliver the same "
                f"columns, here {', '.join(kept)}"
            )
            self._findings.untranslated(source.place, message)
        return replace(source, content=tuple(kept.items()))


def _with_own_types(sources: tuple[DraftSource, ...]) -> tuple[DraftSource, ...]:
    """A property has one type and one spelling in all sources: one of another type is named after its source."""
    known: dict[str, tuple[str, str | None]] = {}
    return tuple(replace(source, properties=_own_types(source, known)) for source in sources)


def _own_types(source: DraftSource, known: dict[str, tuple[str, str | None]]) -> tuple[DraftProperty, ...]:
    """The properties of a source. `known` has the spelling and the type of each name in the sources before."""
    found: dict[str, DraftProperty] = {}
    for item in source.properties:
        longer = property_name(f"{source.name}_{item.name}")
        for name in chain((item.name, longer), (f"{longer}_{number}" for number in count(2))):
            spelling, kind = known.setdefault(name.casefold(), (name, item.type))
            if kind == item.type and spelling not in found:
                found[spelling] = replace(item, name=spelling)
                break
    return tuple(found.values())


def _text_of(content: dict[str, str]) -> str:
    named = (path for name, path in content.items() if "text" in name or "caption" in name)
    return next(named, next(iter(content.values())))


def placed(path: str, base_file: str, folder: str) -> str:
    """A path written in one file, for a file in another folder: URLs and whole paths stay, relative ones follow."""
    if "://" in path or os.path.isabs(path):  # noqa: PTH117 - globs
        return path
    home = os.path.dirname(os.path.abspath(base_file))  # noqa: PTH100, PTH120 - globs
    if home == os.path.abspath(folder):  # noqa: PTH100
        return path
    return os.path.relpath(os.path.join(home, path), folder)  # noqa: PTH118
