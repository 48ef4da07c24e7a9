"""Reads `order:` of the spec and of its components."""

from __future__ import annotations

import math
import re
from typing import Final, Literal, cast

from mixtera.contracts.properties import PropertyType
from mixtera.spec import keys
from mixtera.spec.document import Mapping, Node, Scalar, Sequence, describe
from mixtera.spec.fields import Fields, text_of
from mixtera.spec.issues import Issues, suggestion
from mixtera.spec.known import Known
from mixtera.spec.model import Order, OwnOrder, Place, SortKey
from mixtera.spec.predicates import predicate_of

SORTABLE: Final[tuple[PropertyType, ...]] = ("int64", "float64", "bool", "date", "timestamp")
"""Types that a curriculum can go by. Not text: its order differs between languages and systems."""

DYNAMIC_CHUNK_SIZE: Final = 1024
"""Samples of a chunk, by default, where the weights follow the training."""


def read_order(fields: Fields, known: Known, issues: Issues, is_dynamic: bool = False) -> Order:
    """The order of the whole mixture; chunks are small by default where weights may change after each round."""
    node = fields.mapping("order")
    default = Order(chunk_size=DYNAMIC_CHUNK_SIZE) if is_dynamic else Order()
    if node is None:
        return default
    inner = Fields(node, keys.ORDER, issues)
    chunk_size = inner.whole("chunk_size", 1, keys.LARGEST)
    granule = inner.whole("granule", 1, keys.LARGEST)
    size = chunk_size or default.chunk_size
    if granule is not None and size % granule and (chunk_size or "chunk_size" not in inner):
        message = f"granule: {granule} does not divide chunk_size {size}; such as {math.gcd(granule, size)} does"
        issues.add(inner.value_place("granule"), message)
    seed = inner.whole("seed", 0, keys.LARGEST_SEED)
    shuffle = _shuffle(inner) or default.shuffle
    by = _sorted_by(inner, known, issues)
    lanes = 1 if shuffle == "none" or by else default.lanes  # with more, the order holds inside each lane only
    return Order(
        default.seed if seed is None else seed,
        shuffle,
        size,
        inner.whole("lanes", 1, keys.LARGEST) or lanes,
        granule or math.gcd(default.granule, size),
        by or (),
    )


def read_own_order(fields: Fields, known: Known, issues: Issues) -> OwnOrder | None:
    """The order of a component; None where it does not say."""
    node = fields.mapping("order")
    if node is None:
        return None
    inner = Fields(node, keys.OWN_ORDER, issues, fields.key_place("order"))
    none = isinstance(by := inner.node("by"), Sequence) and not by.items
    return OwnOrder(_shuffle(inner), () if none else _sorted_by(inner, known, issues))


def _shuffle(fields: Fields) -> Literal["global", "none"] | None:
    return cast(Literal["global", "none"] | None, fields.choice("shuffle", keys.SHUFFLES))


def _sorted_by(fields: Fields, known: Known, issues: Issues) -> tuple[SortKey, ...] | None:
    node = fields.node("by")
    if node is None:
        return None
    items = node.items if isinstance(node, Sequence) else (node,)
    if not items:
        issues.add(node.place, "by: the list is empty; name a property, or leave `by` out")
    found = [_sort_key(item, known, issues) for item in items]
    return tuple(key for key in found if key is not None)


def _sort_key(node: Node, known: Known, issues: Issues) -> SortKey | None:
    if not isinstance(node, Mapping):
        return _key_of(node, False, node.place, known, issues)
    fields = Fields(node, keys.SORT_KEY, issues)
    value = fields.node("value")
    descending = fields.flag("descending") or False
    return None if value is None else _key_of(value, descending, node.place, known, issues)


def _key_of(node: Node, descending: bool, place: Place, known: Known, issues: Issues) -> SortKey | None:
    text = text_of(node, "by", issues)
    if text is None or not isinstance(node, Scalar):
        return None
    if re.fullmatch(keys.PROPERTY_NAME, text):
        return SortKey(text, descending, text, place) if _is_sortable(node, known, issues) else None
    if text.startswith("-") and re.fullmatch(keys.PROPERTY_NAME, text[1:].strip()):
        name = text[1:].strip()
        issues.add(node.place, f"by: {describe(node)} has a sign; write {{value: {name}, descending: true}}")
        return None
    predicate = predicate_of(node, "by", known, issues)
    return None if predicate is None else SortKey(predicate, descending, text, place)


def _is_sortable(node: Scalar, known: Known, issues: Issues) -> bool:
    name = node.text
    if known.columns is not None and name not in known.columns:
        issues.add(node.place, f"unknown column {name!r} in `by`{suggestion(name, known.columns, 'known')}")
        return False
    kind = "string" if name == "dataset" else known.types.get(name)
    if kind is not None and kind not in SORTABLE:
        issues.add(node.place, unsortable(name, kind))
        return False
    return True


def unsortable(name: str, kind: str) -> str:
    """What to say of a property that a curriculum cannot go by."""
    return (
        f"by: {name} is {kind}, and a curriculum goes by {', '.join(SORTABLE[:-1])} or {SORTABLE[-1]}; "
        "index such a property, or use an expression"
    )
