"""Megatron-Energon metadatasets (`metadataset.yaml`), version 1 and 2.

What is read: `splits`, and in them `path`, `blend`, `blend_epochized`, `join`, and version 1's `datasets`, nested
inline or through other metadatasets. Source of the meaning: NVIDIA/Megatron-Energon, docs/source/basic/metadataset.md
and src/megatron/energon/metadataset/ (BSD-3-Clause).

A `blend` goes on for ever and begins each dataset anew: `on_exhaust: repeat`. One epoch of a `blend_epochized` has each
sample of a dataset `repetitions` times: `max_epochs: repetitions`, and the places of what is done go to the others. Its
shares are repetitions × samples; where the number of samples is not at hand they are the repetitions alone, so that
the samples are as many, but not as evenly mixed. The splits other than `train` are read once through, whatever the
weights.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

from mixtera.importers.energon_dataset import Dataset, Reference, dataset_of
from mixtera.importers.energon_mixture import Mode, Part, mixture_of
from mixtera.importers.findings import Findings, Keys, shown
from mixtera.importers.model import Draft
from mixtera.importers.naming import component_name, last_part
from mixtera.importers.options import Options
from mixtera.importers.reading import nodes_of_file
from mixtera.importers.sources import Sources
from mixtera.spec.document import Mapping, Node, Scalar, Sequence, describe
from mixtera.spec.paths import problem_of, resolve

_MODES: Final[dict[str, Mode]] = {"blend": "blend", "blend_epochized": "epochized", "datasets": "blend"}
_MOST_REFERENCES: Final = 10_000
_MOST_NESTED: Final = 20
"""Blends in blends, in one file or through others: a spec has at most 50 levels, of which each takes two."""
_OF_NO_SPEC: Final = {
    "subset": "a part of a dataset by position is not in the language: all of it is taken",
    "subflavors": "samples carry no tags; `component` of a batch tells them apart",
    "subflavor": "samples carry no tags; `component` of a batch tells them apart",
    "aux": "a source has no other files beside its samples",
    "shuffle_over_epochs_multiplier": "every epoch is a permutation of its own",
    "split_ratio": "the parts are those of the dataset's own split.yaml",
    "joiner": "it is code, which import does not run",
    "nonmatch": "samples of several datasets are not joined",
}


def read_energon(root: Mapping, file: str, options: Options, findings: Findings) -> Draft | None:
    """The draft of a metadataset; None where an issue says why there is none."""
    sources = Sources(options, findings)
    tree = _Reader(sources, findings).metadataset(root, options.split, file, (str(Path(file).resolve()),), top=True)
    if tree is None or findings.issues.found:
        return None
    mixture = mixture_of(tree, options.split, findings)
    title = f"Imported by `mixtera import` from {Path(file).name}: Energon metadataset, split {options.split}."
    return Draft(component_name(Path(file).stem), title, sources.finished(), mixture)


class _Reader:
    """Walks through metadatasets; `chain` has the resolved paths of the files that lead to the present one."""

    def __init__(self, sources: Sources, findings: Findings) -> None:
        self._sources = sources
        self._findings = findings
        self._read: dict[str, Mapping | None] = {}
        self._references = 0
        self._depth = 0

    def metadataset(
        self, root: Mapping, split: str, file: str, chain: tuple[str, ...], *, top: bool = False
    ) -> Part | None:
        keys = Keys(root, "the metadataset", self._findings)
        keys.entry("__module__")
        keys.entry("__class__")
        splits = keys.mapping("splits")
        keys.rest()
        if splits is None:
            self._findings.wrong(root.place, "a metadataset has `splits`: {train: …, val: …}")
            return None
        parts = Keys(splits, "splits", self._findings)
        node = parts.node(split)
        others = parts.names_left()
        if not isinstance(node, Mapping):
            known = ", ".join(others) or "none"
            found = f"split {split!r} is {describe(node)}" if node is not None else f"there is no split {split!r}"
            self._findings.wrong(parts.key_place(split), f"{found}; splits: {known}; choose with `--split`")
            return None
        for other in others if top else ():
            message = f"the split {other!r} is not imported: `mixtera import --split {other}` writes it"
            self._findings.untranslated(parts.key_place(other), message)
        return self._part(node, split, Path(file).stem, chain, None)

    def _part(self, node: Node, split: str, name: str, chain: tuple[str, ...], around: Mode | None) -> Part | None:
        """A dataset, a blend, a join or another metadataset."""
        if not isinstance(node, Mapping):
            self._findings.wrong(node.place, f"expected a dataset such as {{path: …}}, found {describe(node)}")
            return None
        keys = Keys(node, "a dataset", self._findings)
        keys.needs_values("path", "weight", "repetitions")
        value = self._value(keys, around)
        for key, reason in _OF_NO_SPEC.items():
            if key != "shuffle_over_epochs_multiplier" or _is_not_one(keys.node(key)):
                keys.refuse(key, reason)
        given = [key for key in ("path", "join", *_MODES) if key in keys]
        part = None
        if len(given) != 1:
            found = " and ".join(given) or "none of them"
            self._findings.wrong(keys.place, f"expected one of path, blend, blend_epochized or join, found {found}")
        elif given[0] == "path":
            part = self._reference(keys, split, chain)
        elif given[0] == "join":
            part = self._join(keys, split)
        else:
            part = self._blend(keys, given[0], keys.text("split_part") or split, name, chain)
        keys.rest()
        if part is None or value is None:
            return None
        if around is not None and part.mode not in ("single", around):
            self._findings.wrong(keys.place, "blend and blend_epochized cannot be mixed in one another")
            return None
        return replace(part, value=value)

    def _value(self, keys: Keys, around: Mode | None) -> float | None:
        """The weight or the repetitions of an entry."""
        if around == "epochized":
            return keys.number("repetitions", zero=False) if "repetitions" in keys else 1.0
        node = keys.node("weight") if around == "blend" else None
        if isinstance(node, Mapping):
            return self._scheduled(node)
        return 1.0 if node is None else keys.number("weight")

    def _scheduled(self, node: Mapping) -> float | None:
        """A weight over steps: `{step: {0: 100, 1500: 10}}` or `{linear: {…}}`."""
        curve = node.entries[0].value if len(node.entries) == 1 else None
        points = curve.entries if isinstance(curve, Mapping) else ()
        values = {e.key.value: e.value.value for e in points if isinstance(e.value, Scalar)}
        numbers = {at: w for at, w in values.items() if _is_number(at) and _is_number(w)}
        if not numbers or len(numbers) < len(points):
            self._findings.wrong(node.place, "expected a weight such as 5 or {step: {0: 100, 1500: 10}}")
            return None
        first = numbers[min(numbers, key=float)]  # type: ignore[arg-type]  # all are numbers
        message = (
            f"the weight over steps {shown(node)} is written as its first value: a `schedule:` of the mixture can "
            "say it, with the samples of a step as `batch`"
        )
        self._findings.untranslated(node.place, message)
        if float(first) < 0:  # type: ignore[arg-type]
            self._findings.wrong(node.place, f"weight: expected a number of 0 or more, found {first}")
            return None
        return float(first)  # type: ignore[arg-type]

    def _blend(self, keys: Keys, key: str, split: str, name: str, chain: tuple[str, ...]) -> Part | None:
        node = keys.node(key)
        if not isinstance(node, Sequence) or not node.items:
            found = "an empty list" if isinstance(node, Sequence) else "nothing" if node is None else describe(node)
            self._findings.wrong(keys.key_place(key), f"{key}: expected a list of datasets, found {found}")
            return None
        if self._depth == _MOST_NESTED:
            self._findings.wrong(node.place, f"blends nested more than {_MOST_NESTED} deep: a spec can hold no more")
            return None
        mode = _MODES[key]
        self._depth += 1
        found_parts = [self._part(item, split, f"{name}-{n}", chain, mode) for n, item in enumerate(node.items, 1)]
        self._depth -= 1
        parts = tuple(part for part in found_parts if part is not None)
        if len(parts) < len(found_parts):
            return None
        if not any(part.value for part in parts):
            self._findings.wrong(node.place, "the weights of these datasets sum to zero")
        below = tuple(source for part in parts for source in part.sources)
        return Part(name, 1.0, mode, below, parts, None, keys.place)

    def _reference(self, keys: Keys, split: str, chain: tuple[str, ...]) -> Part | None:
        path = keys.scalar("path")
        part, split_config, dataset_config = (keys.text(k) for k in ("split_part", "split_config", "dataset_config"))
        self._references += 1
        if self._references > _MOST_REFERENCES:
            if self._references == _MOST_REFERENCES + 1:
                self._findings.wrong(keys.place, f"more than {_MOST_REFERENCES:,} datasets: metadatasets name others")
            return None
        if path is None:
            return None
        if problem := problem_of(path.text):
            self._findings.wrong(path.place, problem)
            return None
        if _is_metadataset(path):
            return self._nested(path, part or split, chain)
        return self._dataset(Reference(path, part or split, split_config, dataset_config), split)

    def _nested(self, path: Scalar, split: str, chain: tuple[str, ...]) -> Part | None:
        home = path.source.file
        file = path.text if "://" in path.text else str(Path(home).parent / path.text)
        real = file if "://" in file else str(Path(file).resolve())
        if real in chain or len(chain) > 2 * _MOST_NESTED:
            problem = (
                "names itself" if real in chain else f"is one of more than {2 * _MOST_NESTED} that name each other"
            )
            self._findings.wrong(path.place, f"the metadataset {path.text!r} {problem}; remove one of the references")
            return None
        if real not in self._read:
            self._read[real] = nodes_of_file(file, self._findings, path.place)
        root = self._read[real]
        return None if root is None else self.metadataset(root, split, file, (*chain, real))

    def _dataset(self, reference: Reference, split: str) -> Part | None:
        found = dataset_of(reference, self._findings)
        name = last_part(reference.path.text)
        if reference.split_part != split:
            name = f"{name}-{reference.split_part}"
        return self._source(reference.path, name, found)

    def _source(self, path: Scalar, name: str, found: Dataset) -> Part | None:
        placed = [self._sources.placed(path, one) for one in found.paths]
        if any(one is None for one in placed):
            return None
        counted = (f"{found.samples:,} samples, says its index.",) if found.samples is not None else ()
        paths = [one for one in placed if one is not None]
        source = self._sources.add(name, paths, found.format, path.place, content=found.content, comments=counted)
        return Part(name, 1.0, "single", (source,), (), found.samples, path.place)

    def _join(self, keys: Keys, split: str) -> Part | None:
        """The first of the joined datasets: the others only add fields to its samples."""
        node = keys.node("join")
        items = node.items if isinstance(node, Sequence) else ()
        if isinstance(node, Mapping):
            items = tuple(entry.value for entry in node.entries)
        if not items:
            self._findings.wrong(keys.key_place("join"), "join: expected a list of datasets")
            return None
        for item in items[1:]:
            message = f"the joined dataset {shown(item)}: samples of several datasets are not joined"
            self._findings.untranslated(item.place, message)
        return self._part(items[0], keys.text("split_part") or split, "join", (), None)


def _is_metadataset(path: Scalar) -> bool:
    lowered = path.text.lower()
    if lowered.endswith((".yaml", ".yml")):
        return True
    if "://" in path.text or lowered.endswith((".jsonl", ".ndjson")):
        return False
    return Path(resolve(path.text, path.source.file)).is_file()


def _is_not_one(node: Node | None) -> bool:
    return node is not None and not (isinstance(node, Scalar) and node.value == 1)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < float("inf")
