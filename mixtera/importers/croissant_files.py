"""The files of Croissant metadata: where a FileSet or a FileObject lies, and in which format."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence as Values
from dataclasses import dataclass
from typing import Final

from mixtera.importers.croissant_nodes import identity, kind_of, reference, text_at, value_of
from mixtera.importers.findings import Findings, Keys
from mixtera.importers.kinds_of_files import ARCHIVES, format_of_media_type, format_of_path
from mixtera.spec.document import Mapping, Node, Scalar, Sequence, describe
from mixtera.spec.model import Place

_OF_THE_HUB: Final = re.compile(r"(?P<head>.*/)\(\?:partial-\)\?\((?P<splits>[^()]+)\)/\.\+parquet\$")
_UNREAD: Final = ("@type", "@id", "name", "description", "sha256", "md5", "contentSize", "sameAs", "source")
_MOST_NESTED: Final = 10


@dataclass(frozen=True, slots=True)
class Found:
    """Files of a source: each path with the text of the metadata it comes from, and the format."""

    paths: tuple[tuple[Scalar, str], ...]
    format: str


class Files:
    """The `distribution` of the metadata."""

    def __init__(self, nodes: Values[Node], findings: Findings) -> None:
        self._findings = findings
        self._nodes: dict[str, Mapping] = {}
        for node in nodes:
            name = identity(node) if isinstance(node, Mapping) else None
            if not isinstance(node, Mapping) or name is None:
                findings.wrong(node.place, f"expected a FileObject or a FileSet with an @id, found {describe(node)}")
            elif name in self._nodes:
                findings.wrong(node.place, f"two files of the distribution are named {name!r}")
            else:
                self._nodes[name] = node

    def of(self, name: str, split: str, pattern: str | None, place: Place) -> Found | None:
        """The files of a FileSet or FileObject; None where there is no source in them, which is listed.

        Args:
            name: Its `@id`.
            split: The split to import.
            pattern: The regular expression that finds the split in a file's name, where a field has one.
            place: Where it is asked for.
        """
        node = self._nodes.get(name)
        if node is None:
            known = ", ".join(self._nodes) or "none"
            self._findings.wrong(place, f"nothing in the distribution is named {name!r}; there is {known}")
            return None
        keys = Keys(node, name, self._findings)
        for unread in _UNREAD:
            keys.entry(unread)
        keys.refuse("excludes", "a source has no files to leave out: narrow `path:`")
        given = keys.texts("includes") or keys.texts("contentUrl")
        media = _media_type(keys.node("encodingFormat"))
        folder = self._folder(keys.node("containedIn"), node.place)
        keys.rest()
        if not given:
            self._findings.wrong(node.place, f"{name} has neither `includes` nor `contentUrl`")
            return None
        paths = [(scalar, path) for scalar in given for path in self._narrowed(scalar, split, pattern)]
        format_name = format_of_path(paths[0][1]) or format_of_media_type(media) if paths else None
        if paths and format_name is None:
            self._findings.untranslated(node.place, f"{name}: files of the type {media or 'unknown'!r} are no source")
        if format_name is None:
            return None
        return Found(tuple((scalar, _joined(folder, path)) for scalar, path in paths), format_name)

    def _folder(self, node: Node | None, place: Place) -> str:
        """What comes before the paths of files that are contained in another one."""
        folder = ""
        for _ in range(_MOST_NESTED):
            name = reference(node)
            outer = None if name is None else self._nodes.get(name)
            if outer is None:
                if name is not None:
                    self._findings.wrong(place, f"nothing in the distribution is named {name!r}")
                return folder
            url = text_at(outer, "contentUrl")
            media = _media_type(value_of(outer, "encodingFormat"))
            where = url.text if url is not None else name
            if "git" in media or (url is not None and "://" in url.text):
                message = f"the files are in {where}: get them, and let `path:` say where they lie"
                self._findings.untranslated(outer.place, message)
            elif media in ARCHIVES or kind_of(value_of(outer, "@type")) == ("FileSet",):
                message = f"the files are inside {where}: unpack it, and let `path:` say where they lie"
                self._findings.untranslated(outer.place, message)
            elif url is not None:
                folder = posixpath.join(url.text, folder)
            node = value_of(outer, "containedIn")
        self._findings.wrong(place, "files contained in files contain each other")
        return folder

    def _narrowed(self, include: Scalar, split: str, pattern: str | None) -> list[str]:
        """The paths of a split. Metadata of the Hugging Face Hub name a folder for each: `en/*/*.parquet`."""
        if pattern is None:
            return [include.text]
        found = _OF_THE_HUB.fullmatch(pattern)
        if found is None or include.text != f"{found['head']}*/*.parquet":
            message = (
                f"the split is taken from file names by {pattern!r}: files of all splits are taken; narrow `path:`"
            )
            self._findings.untranslated(include.place, message)
            return [include.text]
        splits = found["splits"].split("|")
        if split not in splits:
            message = f"there is no split {split!r}; splits: {', '.join(splits)}; choose with `--split`"
            self._findings.wrong(include.place, message)
            return []
        for other in splits:
            if other != split:
                message = f"the split {other!r} is not imported: `mixtera import --split {other}` writes it"
                self._findings.untranslated(include.place, message)
        return [f"{found['head']}{split}/*.parquet"]


def _joined(folder: str, path: str) -> str:
    return path if "://" in path or not folder else posixpath.join(folder, path)


def _media_type(node: Node | None) -> str:
    if isinstance(node, Sequence) and node.items:
        node = node.items[0]
    return node.text.lower() if isinstance(node, Scalar) else ""
