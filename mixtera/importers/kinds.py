"""Which kind of input a text is, told from what is in it."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias, get_args

from mixtera.importers import hf_card, megatron, olmo_core
from mixtera.importers.croissant_nodes import local
from mixtera.importers.findings import Findings
from mixtera.importers.reading import header_of, is_json, nodes_of
from mixtera.spec.document import Mapping, Node, Scalar, Sequence, Text
from mixtera.spec.model import Place

Kind: TypeAlias = Literal["energon", "megatron", "olmo-core", "hf-card", "croissant"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)

_TRIED: Final = {
    "energon": "no mapping with `splits`",
    "megatron": "no words `weight prefix weight prefix …`, and no JSON with lists of them for train, valid, test",
    "olmo-core": "no list `sources` with source_name or target_ratio",
    "hf-card": "no YAML header with `configs` or `dataset_info`",
    "croissant": "no JSON-LD with `distribution` or `recordSet`",
}


def kind_of_text(text: Text, findings: Findings) -> Kind | None:
    """The kind of a text; None where an issue says what was tried."""
    if not is_json(text) and megatron.is_blend(word.text for word in megatron.words_of(text)):
        return "megatron"
    header = header_of(text)
    if header is not None and text.file.lower().endswith((".md", ".markdown")):
        return "hf-card"
    if not is_json(text) and not _is_yaml(header or text):
        _complain(text, findings)
        return None
    root = nodes_of(header or text, findings)
    kind = None if root is None else _kind_of_nodes(root)
    if root is not None and kind is None:
        _complain(text, findings, root)
    return kind


def _is_yaml(text: Text) -> bool:
    """Whether a text may be a mapping in YAML; of anything else, the reader's complaint would lead astray."""
    lines = [line for line in text.content.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    return any(line.rstrip().endswith(":") or ": " in line for line in lines)


def _kind_of_nodes(root: Node) -> Kind | None:
    if isinstance(root, Sequence):
        return "megatron" if root.items and all(isinstance(i, Scalar | Sequence) for i in root.items) else None
    if not isinstance(root, Mapping):
        return None
    values = {local(entry.key.text): entry.value for entry in root.entries}
    if "recordSet" in values or "distribution" in values:
        return "croissant"
    if any(name in values for name in hf_card.KEYS):
        return "hf-card"
    if isinstance(values.get("splits"), Mapping):
        return "energon"
    if any(_has_sources(values.get(name)) for name in olmo_core.LISTS) or any(
        isinstance(inner := values.get(name), Mapping) and _kind_of_nodes(inner) == "olmo-core"
        for name in olmo_core.OUTER
    ):
        return "olmo-core"
    blends = [value for name, value in values.items() if name in megatron.SPLITS]
    return "megatron" if blends and all(_is_words(value) for value in blends) else None


def _has_sources(node: Node | None) -> bool:
    items = node.items if isinstance(node, Sequence) else ()
    keys = {entry.key.text for item in items if isinstance(item, Mapping) for entry in item.entries}
    return bool(keys & {"source_name", "target_ratio"})


def _is_words(node: Node) -> bool:
    return isinstance(node, Sequence) or (isinstance(node, Scalar) and isinstance(node.value, str | None))


def _complain(text: Text, findings: Findings, root: Node | None = None) -> None:
    keys = {entry.key.text for entry in root.entries} if isinstance(root, Mapping) else set()
    if {"version", "sources", "mixture"} <= keys:
        findings.wrong(Place(text.file, 1, 1), "this is a spec already: there is nothing to import")
        return
    tried = "; ".join(f"{kind}: {reason}" for kind, reason in _TRIED.items())
    message = f"cannot tell what this is. Tried {tried}. `--from KIND` says it"
    findings.wrong(Place(text.file, 1, 1), message)


def as_kind(word: str | None) -> Kind | None:
    """A kind by its name.

    Raises:
        ValueError: There is none of that name.
    """
    kind = next((kind for kind in KINDS if kind == word), None)
    if word is not None and kind is None:
        raise ValueError(f"no kind {word!r} can be imported; kinds: {', '.join(KINDS)}")
    return kind
