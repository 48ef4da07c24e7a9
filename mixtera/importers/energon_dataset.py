"""One dataset that an Energon metadataset names: which files it has, how many samples, which fields.

A prepared dataset is a folder of tar files with `.nv-meta/` in it, or a JSONL file with `.idx` beside it. What is said
there is read where the dataset is on this machine; no code of it (`sample_loader.py`) is run.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mixtera.importers.braces import expanded
from mixtera.importers.findings import Findings, Keys
from mixtera.importers.reading import nodes_of_file
from mixtera.spec.document import Mapping, Scalar

_META: Final = ".nv-meta"
_FIELD: Final = re.compile(r"[A-Za-z0-9_.-]+(\[[A-Za-z0-9_-]+\])*")


@dataclass(frozen=True, slots=True)
class Reference:
    """How a metadataset names a dataset."""

    path: Scalar
    split_part: str
    split_config: str | None
    dataset_config: str | None


@dataclass(frozen=True, slots=True)
class Dataset:
    """What is known of a dataset.

    Attributes:
        paths: Its files, as the metadataset would name them.
        format: Their format.
        samples: How many samples they have, or None.
        content: Delivered column → field; empty where nothing tells.
    """

    paths: tuple[str, ...]
    format: str
    samples: int | None
    content: tuple[tuple[str, str], ...]


def dataset_of(reference: Reference, findings: Findings) -> Dataset:
    """Look a dataset up."""
    path = reference.path.text.rstrip("/")
    if path.lower().endswith((".jsonl", ".ndjson")):
        return Dataset((path,), "jsonl", _indexed_samples(reference), ())
    folder = _beside(reference.path, path) if "://" not in path else None
    if folder is None or not (folder / _META).is_dir():
        where = f"{path}/{_META}/{reference.split_config or 'split.yaml'}"
        message = f"which files are the part {reference.split_part!r} is said in {where}, which is not at hand: all are"
        findings.untranslated(reference.path.place, f"{message} taken")
        return Dataset((f"{path}/**/*.tar",), "webdataset", None, ())
    shards = _shards(folder / _META, reference, findings)
    paths = tuple(f"{path}/{shard}" for shard in shards) or (f"{path}/**/*.tar",)
    return Dataset(
        paths, "webdataset", _counted(folder / _META, shards, findings), _fields(folder / _META, reference, findings)
    )


def _beside(scalar: Scalar, path: str) -> Path:
    """A path that is written in a file, seen from here."""
    return Path(scalar.source.file).parent / path


def _indexed_samples(reference: Reference) -> int | None:
    """From the index beside a JSONL file: an offset of 8 bytes for each record, and one for the end."""
    if "://" in reference.path.text:
        return None
    index = _beside(reference.path, f"{reference.path.text}.idx")
    return max(0, index.stat().st_size // 8 - 1) if index.is_file() else None


def _shards(meta: Path, reference: Reference, findings: Findings) -> tuple[str, ...]:
    """The tar files of the part, from `split.yaml`."""
    file = _existing(meta, reference.split_config, "split.yaml", "split.json")
    root = None if file is None else nodes_of_file(str(file), findings)
    if file is None:
        message = f"{meta.parent.name}/{_META} has no split.yaml: the files of all parts are taken"
        findings.untranslated(reference.path.place, message)
    if root is None:
        return ()
    keys = Keys(root, "the split file", findings)
    excluded = dict.fromkeys(_names(keys, "exclude"))
    parts = keys.mapping("split_parts")
    keys.rest()
    if parts is None:
        findings.wrong(root.place, "expected `split_parts`: {train: [files], …}")
        return ()
    part = Keys(parts, "split_parts", findings)
    if reference.split_part not in part:
        known = ", ".join(part.names_left())
        findings.wrong(reference.path.place, f"{file} has no part {reference.split_part!r}; it has {known}")
        return ()
    if single := [name for name in excluded if ".tar/" in name]:
        message = f"{len(single)} excluded samples (such as {single[0]}) are not left out: `filter:` can do that"
        findings.untranslated(keys.key_place("exclude"), message)
    return tuple(name for name in _names(part, reference.split_part) if name not in excluded)


def _names(keys: Keys, name: str) -> list[str]:
    names: list[str] = []
    for scalar in keys.texts(name):
        try:
            names += expanded(scalar.text)
        except ValueError as error:
            keys.findings.wrong(scalar.place, str(error))
    return names


def _counted(meta: Path, shards: tuple[str, ...], findings: Findings) -> int | None:
    """The number of samples of some shards, from `.info.json` or `.info.yaml`."""
    file = _existing(meta, None, ".info.json", ".info.yaml")
    root = None if file is None else nodes_of_file(str(file), findings)
    counts = None if root is None else Keys(root, "the info file", findings).mapping("shard_counts")
    if counts is None or not shards:
        return None
    found = {entry.key.text: entry.value for entry in counts.entries}
    values = [node.value for name in shards if isinstance(node := found.get(name), Scalar)]
    whole = [value for value in values if type(value) is int and value >= 0]
    return sum(whole) if len(whole) == len(shards) else None


def _fields(meta: Path, reference: Reference, findings: Findings) -> tuple[tuple[str, str], ...]:
    """The `field_map` of `dataset.yaml`: `json[caption]` is the dotted path `json.caption`."""
    file = _existing(meta, reference.dataset_config, "dataset.yaml", "dataset.json")
    root = None if file is None else nodes_of_file(str(file), findings)
    if root is None:
        return ()
    keys = Keys(root, "the dataset file", findings)
    field_map = keys.mapping("field_map")
    for name in ("__module__", "__class__", "sample_type"):
        keys.entry(name)
    for name in ("sample_loader", "part_filter"):
        keys.refuse(name, "it is code, which import does not run: say in `content:` which fields training reads")
    keys.rest()
    return tuple(item for item in _mapped(field_map, findings)) if field_map is not None else ()


def _mapped(field_map: Mapping, findings: Findings) -> list[tuple[str, str]]:
    fields = []
    for entry in field_map.entries:
        text = entry.value.text if isinstance(entry.value, Scalar) else ""
        if _FIELD.fullmatch(text) and entry.key.text not in ("component", "sample"):
            fields.append((entry.key.text, text.replace("[", ".").replace("]", "")))
        else:
            findings.untranslated(entry.key.place, f"the field {entry.key.text!r}: {text!r} is not one field")
    return fields


def _existing(meta: Path, given: str | None, *names: str) -> Path | None:
    candidates = [meta / given] if given else [meta / name for name in names]
    return next((path for path in candidates if path.is_file()), None)
