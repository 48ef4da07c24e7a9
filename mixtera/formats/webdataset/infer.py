"""Guess the types of properties from the first samples of some tars."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Final

import msgspec

from mixtera.contracts.properties import PropertyType
from mixtera.contracts.storage import FileInfo, Storage
from mixtera.formats.compression import plain_stream
from mixtera.formats.guess import Guess, spread
from mixtera.formats.jsonl.infer import elements_at, look, value_at
from mixtera.formats.jsonl.reasons import DECODE_ERRORS
from mixtera.formats.opening import open_unchanged
from mixtera.formats.paths import split_elements
from mixtera.formats.webdataset.fields import Field, field_of
from mixtera.formats.webdataset.members import End, Sample, samples
from mixtera.formats.webdataset.samples import value_of
from mixtera.formats.webdataset.source import Forward

_HEAD_SAMPLES: Final = 1000
_HEAD_BYTES: Final = 64 << 20
"""Bytes of a tar that its first samples may lie in; most of them are passed over."""


def infer(storage: Storage, files: Sequence[FileInfo], paths: Mapping[str, str]) -> dict[str, PropertyType | None]:
    """Guess from up to 1,000 samples of the first 64 MiB of up to eight files, spread over the list."""
    guesses = {name: Guess(name, path) for name, path in paths.items()}
    fields = {name: field_of(path) for name, path in paths.items()}
    wanted = frozenset(one for found in fields.values() for one in found.extensions)
    for file in spread(files):
        for sample in first_samples(storage, file, wanted):
            place = f"{file.url}, sample {sample.name!r}"
            documents: dict[bytes, object] = {}
            for name, found in fields.items():
                value = sample.name if found.is_key else _value(sample, found, documents)
                if value is not None:
                    look(guesses[name], value, place)
    return {name: guess.result() for name, guess in guesses.items()}


def first_samples(storage: Storage, file: FileInfo, wanted: frozenset[bytes]) -> Iterator[Sample]:
    """The first samples of a file with the data of some members; what is broken behind them is the scan's to report.

    Raises:
        SampleError: It is no tar, or broken.
        StorageError: It cannot be read.
    """
    with open_unchanged(storage, file) as source, plain_stream(source, file) as (stream, compression):
        forward = Forward(stream, file.url, file.size if compression is None else None)
        for sample in islice(samples(forward, wanted), _HEAD_SAMPLES):
            if isinstance(sample, End):
                return
            yield sample
            if sample.stop > _HEAD_BYTES:
                return


def _value(sample: Sample, found: Field, documents: dict[bytes, object]) -> object:
    """The value of a property; what is no JSON is the scan's to report."""
    extension = sample.find(found.extensions)
    if extension is None or extension not in sample.data:
        return None
    if not found.below:
        return value_of(extension, sample.data[extension])
    if extension not in documents:
        try:
            documents[extension] = msgspec.json.decode(sample.data[extension])
        except DECODE_ERRORS:
            documents[extension] = None
    keys, *inside = split_elements(found.below)
    value = value_at(documents[extension], keys)
    return elements_at(value, inside) if inside else value
