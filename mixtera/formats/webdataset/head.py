"""What the first samples of a tar have: for a first spec."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

import msgspec

from mixtera.contracts.storage import FileInfo, Storage
from mixtera.formats.jsonl.reasons import DECODE_ERRORS
from mixtera.formats.webdataset.fields import JSON, TEXTS, WORDS, ends_with
from mixtera.formats.webdataset.infer import first_samples
from mixtera.formats.webdataset.members import Sample

_HEAD_SAMPLES: Final = 200


@dataclass(frozen=True, slots=True)
class Head:
    """What the first samples have.

    Attributes:
        content: Paths of members that all of them have and that a model is trained on: bytes, and text.
        records: For each sample its small members and the JSON in them, by path.
    """

    content: tuple[str, ...]
    records: tuple[dict[str, object], ...]


def head_of(storage: Storage, file: FileInfo) -> Head:
    """Look at up to 200 samples.

    Raises:
        SampleError: It is no tar, or broken.
        StorageError: It cannot be read.
    """
    found = list(islice(first_samples(storage, file, TEXTS - WORDS), _HEAD_SAMPLES))
    counts = Counter(extension for sample in found for extension in sample.members)
    everywhere = [one for one, count in counts.items() if count == len(found)]
    content = [path_of(one) for one in everywhere if _is_content(one)]
    others = [one for one in counts if one not in everywhere and not ends_with(one, TEXTS)]
    if others and all(sum(one in sample.members for one in others) == 1 for sample in found):
        content.append(";".join(one.decode("utf-8", "replace") for one in others))
    return Head(tuple(content), tuple(map(_record, found)))


def path_of(extension: bytes) -> str:
    """The path that names an extension."""
    text = extension.decode("utf-8", "replace")
    return f'"{text}"' if "." in text else text


def _is_content(extension: bytes) -> bool:
    return not ends_with(extension, TEXTS) or ends_with(extension, WORDS)


def _record(sample: Sample) -> dict[str, object]:
    record: dict[str, object] = {}
    for extension, data in sample.data.items():
        if ends_with(extension, JSON):
            record |= _leaves(path_of(extension), data)
        else:
            record[path_of(extension)] = data.decode("utf-8", "replace")
    return record


def _leaves(path: str, data: bytes) -> dict[str, object]:
    """The values in a JSON object, by path; nothing where it is something else."""
    try:
        pending: Sequence[tuple[str, object]] = [(path, msgspec.json.decode(data))]
    except DECODE_ERRORS:
        return {}
    leaves: dict[str, object] = {}
    while pending:
        below = []
        for place, value in pending:
            if isinstance(value, dict):
                below += [(f"{place}.{key}", inner) for key, inner in value.items() if key and "." not in key]
            else:
                leaves[place] = value
        pending = below
    leaves.pop(path, None)
    return leaves
