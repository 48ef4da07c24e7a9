"""Megatron-LM blends: the words of `--data-path`, a file of them, and the JSON of `--per-split-data-args-path`.

The words are `weight prefix weight prefix …`, or an odd number of prefixes without weights. Source of the meaning:
NVIDIA/Megatron-LM, megatron/training/utils.py and megatron/core/datasets/ (BSD-3-Clause): weights count sequences of
tokens; a weighted dataset is gone through as often as the training needs; without weights every dataset is taken once,
by its size.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mixtera.importers.findings import Findings, Keys
from mixtera.importers.kinds_of_files import format_of_path
from mixtera.importers.model import Draft, DraftComponent, DraftMixture
from mixtera.importers.naming import Names, component_name, last_part
from mixtera.importers.options import Options
from mixtera.importers.sources import Sources
from mixtera.spec.document import Mapping, Node, Scalar, Sequence, Text, describe, shorten
from mixtera.spec.model import OnExhaust, Place

SPLITS: Final = {"train": "train", "valid": "valid", "validation": "valid", "val": "valid", "test": "test"}
COMMAND_LINE: Final = "blend"
"""What messages call the file of words that came from a command line."""
_OPTION: Final = re.compile(r"--(train-|valid-|test-)?data-(path|args-path)=?")
_NUMBER: Final = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?")
_TOKENIZED: Final = "megatron"


@dataclass(frozen=True, slots=True)
class _Weighted:
    path: Scalar
    weight: float


def is_blend(words: Iterable[str]) -> bool:
    """Whether some words may be a blend: a number and a path by turns."""
    plain = [word for word in words if word not in ("\\",) and not _OPTION.fullmatch(word)]
    numbers = [_NUMBER.fullmatch(word) is not None for word in plain]
    return len(plain) > 1 and len(plain) % 2 == 0 and all(numbers[0::2]) and not any(numbers[1::2])


def words_of(text: Text) -> list[Scalar]:
    """The words of a text at their places, without the option's own name and backslashes at the ends of lines."""
    found = re.finditer(r"\S+", text.content)
    words = (Scalar(m[0].strip("\"'"), m[0].strip("\"'"), "'", text, m.start(), m.end()) for m in found)
    return [word for word in words if word.text not in ("\\", "") and not _OPTION.fullmatch(word.text)]


def read_words(words: list[Scalar], file: Path | None, options: Options, findings: Findings) -> Draft | None:
    """The draft of the words of a file or of a command line; None where an issue says why there is none."""
    place = Place(COMMAND_LINE if file is None else str(file), 1, 1)
    if not words:
        findings.wrong(place, "no words: a blend is `weight prefix weight prefix …`")
        return None
    source = "the command line" if file is None else file.name
    title = f"Imported by `mixtera import` from {source}: Megatron blend."
    return _draft(words, "blend" if file is None else file.stem, title, options, findings)


def read_megatron(root: Node, file: str, options: Options, findings: Findings) -> Draft | None:
    """The draft of a JSON file: a list of words, or one for each split."""
    name = Path(file).stem
    title = f"Imported by `mixtera import` from {Path(file).name}: Megatron blend"
    if isinstance(root, Sequence):
        return _draft(_listed(root, findings), name, f"{title}.", options, findings)
    if not isinstance(root, Mapping):
        findings.wrong(root.place, f"expected {{train: [weight, prefix, …], valid: …}}, found {describe(root)}")
        return None
    keys = Keys(root, "the blend", findings)
    wanted = SPLITS.get(options.split, options.split)
    present = {SPLITS.get(entry.key.text, entry.key.text): entry.key.text for entry in root.entries}
    key = present.get(wanted, wanted)
    node = keys.node(key)
    others = [entry.key.text for entry in root.entries if entry.key.text != key]
    if node is None:
        known = ", ".join(others) or "none"
        findings.wrong(keys.key_place(key), f"there is no split {options.split!r}; splits: {known}; see `--split`")
        return None
    for other in others:
        other_node = keys.node(other)
        if other_node is not None and other in SPLITS:
            message = f"the split {other!r} is not imported: `mixtera import --split {other}` writes it"
            findings.untranslated(keys.key_place(other), message)
        elif other_node is not None:
            keys.refuse(other, "import does not know this key")
    words = _listed(node, findings)
    return _draft(words, name, f"{title}, split {options.split}.", options, findings)


def _listed(node: Node, findings: Findings) -> list[Scalar]:
    """The words of a JSON value: a text of words, a list of them, or a list of [weight, prefix]."""
    if isinstance(node, Scalar) and isinstance(node.value, str) and node.value.strip():
        return [Scalar(w, w, "'", node.source, node.start, node.stop) for w in node.value.split()]
    words: list[Scalar] = []
    for item in node.items if isinstance(node, Sequence) else ():
        inner = item.items if isinstance(item, Sequence) else (item,)
        for word in inner:
            if isinstance(word, Scalar) and isinstance(word.value, str | int | float) and word.text.strip():
                words.append(word)
            else:
                findings.wrong(word.place, f"expected a weight or a prefix, found {describe(word)}")
    if not words:
        found = "an empty list" if isinstance(node, Sequence) else describe(node)
        findings.wrong(node.place, f"expected weight, prefix, weight, prefix …, found {found}")
    return words


def _draft(words: list[Scalar], name: str, title: str, options: Options, findings: Findings) -> Draft | None:
    weighted = len(words) % 2 == 0
    blend = _pairs(words, findings) if weighted else _prefixes(words, findings)
    if findings.issues.found or not blend:
        return None
    if weighted and not any(item.weight for item in blend):
        findings.wrong(words[0].place, "the weights sum to zero")
        return None
    sources = Sources(options, findings)
    names = Names()
    components = []
    for item in blend:
        source = _source(item.path, sources)
        if source is not None:
            label = names.new(component_name(last_part(item.path.text)))
            components.append(DraftComponent(label, (source,), item.weight))
    if findings.issues.found:
        return None
    place = words[0].place
    if not weighted:
        again: OnExhaust = "repeat" if len(blend) == 1 else "stop"
        comment = "Megatron takes datasets without weights by their size" + (", each once." if again == "stop" else ".")
        return Draft(component_name(name), title, sources.finished(), DraftMixture((), again, (comment,)))
    findings.untranslated(place, _TOKENS)
    comment = "Megatron goes through a dataset as often as the training needs: give the mixture a `budget:`."
    return Draft(
        component_name(name), title, sources.finished(), DraftMixture(tuple(components), "repeat", (_UNIT, comment))
    )


_TOKENS: Final = (
    "the weights are shares of tokens (sequences of equal length), and are written as shares of samples: where the "
    "documents of the datasets differ in length, divide each weight by the mean length"
)
_UNIT: Final = "The weights are Megatron's, which are shares of tokens; here they are shares of samples."


def _prefixes(words: list[Scalar], findings: Findings) -> list[_Weighted]:
    for word in words:
        if _NUMBER.fullmatch(word.text):
            message = f"{word.text} looks like a weight, but {len(words)} words are no pairs of weight and prefix"
            findings.wrong(word.place, message)
    return [_Weighted(word, 1.0) for word in words]


def _pairs(words: list[Scalar], findings: Findings) -> list[_Weighted]:
    pairs = []
    for first, second in zip(words[0::2], words[1::2], strict=True):
        if not _NUMBER.fullmatch(first.text):
            message = (
                f"{shorten(first.text)!r} is no weight: a blend is `weight prefix weight prefix …`, or an odd number of"
            )
            findings.wrong(first.place, f"{message} prefixes without weights")
        elif float(first.text) < 0:
            findings.wrong(first.place, f"weight: expected a number of 0 or more, found {first.text}")
        elif float(first.text) == float("inf"):
            findings.wrong(first.place, f"weight: {first.text} is too large")
        else:
            pairs.append(_Weighted(second, float(first.text)))
    return pairs


def _source(path: Scalar, sources: Sources) -> str | None:
    """A prefix names `prefix.bin` and `prefix.idx`; anything with another known suffix is what it says."""
    known = format_of_path(path.text)
    tokenized = known in (None, _TOKENIZED)
    file = path.text if known is not None else f"{path.text}.bin"
    placed = sources.placed(path, file)
    if placed is None:
        return None
    content = [("tokens", "tokens")] if tokenized else []
    format_name = _TOKENIZED if known is None else known
    return sources.add(last_part(path.text), [placed], format_name, path.place, content=content)
