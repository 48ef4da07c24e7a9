"""The fields of a Croissant record set: which column of which files each is."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from mixtera.importers.columns import Column
from mixtera.importers.croissant_nodes import identity, kind_of, reference, text_at, value_of
from mixtera.importers.findings import Findings, Keys
from mixtera.spec.document import Mapping, Node, Scalar, Sequence, describe
from mixtera.spec.model import Place

_TYPES: Final = {
    "Text": "string",
    "URL": "string",
    "Integer": "int64",
    "Float": "float64",
    "Number": "float64",
    "Boolean": "bool",
    "Date": "date",
    "DateTime": "timestamp",
    **{f"{sign}Int{bits}": "int64" for sign in ("", "U") for bits in (8, 16, 32, 64)},
    **{f"Float{bits}": "float64" for bits in (16, 32, 64)},
}
_JSON_PATH: Final = re.compile(r"(\$\.?)?(?P<path>[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*)(?P<all>\[\*\])?")


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a record set.

    Attributes:
        name: Its name.
        home: What its `source` refers to: a FileSet or FileObject; None where it has no source.
        column: The column that it is; None where it is none, which is listed.
        split_pattern: The regular expression that finds the split in a file's name, where the field is the split.
        place: Where it stands.
    """

    name: str
    home: str | None
    column: Column | None
    split_pattern: str | None
    place: Place


def fields_of(node: Node, findings: Findings) -> list[Field]:
    """A field, or its fields below."""
    if not isinstance(node, Mapping):
        findings.wrong(node.place, f"expected a field, found {describe(node)}")
        return []
    keys = Keys(node, "a field", findings)
    below = keys.items("subField")
    if below:
        return [field for item in below for field in fields_of(item, findings)]
    name, source = identity(node) or "field", keys.node("source")
    if not isinstance(source, Mapping):
        if source is not None:
            findings.untranslated(source.place, f"the field {name!r}: its source is not understood")
        return []
    home = next(
        (r for key in ("fileSet", "fileObject", "distribution") if (r := reference(value_of(source, key)))), None
    )
    if home is None:
        message = f"the field {name!r} is not read from a file: fields of other record sets are not joined"
        findings.untranslated(source.place, message)
        return []
    pattern = _split_pattern(node, source)
    column = None if pattern else _column(name, node, source, findings)
    return [Field(name, home, column, pattern, node.place)]


def _split_pattern(field: Mapping, source: Mapping) -> str | None:
    """The regular expression of a field that takes the split from the name of the file."""
    target = value_of(field, "references")
    inner = value_of(target, "field") if isinstance(target, Mapping) else None
    refers = reference(inner) or reference(target) or ""
    transform = value_of(source, "transform")
    regex = text_at(transform, "regex") if isinstance(transform, Mapping) else None
    is_split = "split" in refers.lower() or "Split" in kind_of(value_of(field, "dataType"))
    return regex.text if regex is not None and is_split else None


def _column(name: str, field: Mapping, source: Mapping, findings: Findings) -> Column | None:
    extract, transforms = value_of(source, "extract"), value_of(source, "transform")
    column = text_at(extract, "column") if isinstance(extract, Mapping) else None
    path = text_at(extract, "jsonPath") if isinstance(extract, Mapping) else None
    steps = [column.text] if column is not None else []
    problem = None if column is not None or path is not None else "is no column of the files"
    listed = False
    for step in (path, *_json_paths(transforms)):
        match = None if step is None else _JSON_PATH.fullmatch(step.text)
        if step is not None and match is None:
            problem = f"has the path {step.text!r}, which is no dotted path"
        elif match is not None:
            steps.append(match["path"])
            listed = listed or match["all"] is not None
    if column is not None and "." in column.text:
        problem = "has a dot in its column's name, which is that of a path here"
    if _has_other_transforms(transforms):
        problem = "is changed on the way (`transform`)"
    repeated = [value_of(field, key) for key in ("repeated", "isArray")]
    listed = listed or any(isinstance(node, Scalar) and node.value is True for node in repeated)
    dotted = ".".join(steps)
    kind = _type(kind_of(value_of(field, "dataType")), listed)
    if problem is None and (kind is None or not all(part.strip() for part in dotted.split("."))):
        problem = "has a type that no property has"
    if problem is not None:
        findings.untranslated(field.place, f"the field {name!r} {problem}")
        return None
    return Column(dotted, dotted, kind)


def _type(kinds: tuple[str, ...], listed: bool) -> str | None:
    kind = next((_TYPES[name] for name in kinds if name in _TYPES), None)
    if not listed:
        return kind
    return f"list<{kind}>" if kind in ("string", "int64", "float64") else None


def _steps(node: Node | None) -> list[Mapping]:
    items = node.items if isinstance(node, Sequence) else () if node is None else (node,)
    return [item for item in items if isinstance(item, Mapping)]


def _json_paths(transforms: Node | None) -> list[Scalar]:
    return [path for step in _steps(transforms) if (path := text_at(step, "jsonPath")) is not None]


def _has_other_transforms(transforms: Node | None) -> bool:
    return any(entry.key.text != "jsonPath" for step in _steps(transforms) for entry in step.entries)
