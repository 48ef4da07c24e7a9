"""What a flat token file is: the type of its tokens, and where they begin."""

from __future__ import annotations

import struct
import warnings
from dataclasses import dataclass
from typing import BinaryIO, Final, cast

import numpy as np

from mixtera.contracts.storage import FileInfo, Storage
from mixtera.errors import SampleError
from mixtera.formats.opening import open_unchanged, read_fully
from mixtera.formats.tokenfiles.ids import NAMES, TokenType, token_type
from mixtera.formats.tokens.beside import last_end
from mixtera.formats.tokens.options import INDEX, Options, says_where_documents_end
from mixtera.links import parted

_MAGIC: Final = b"\x93NUMPY"
_LONGEST_HEAD: Final = 10_000
_READERS: Final = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
_LLM_C: Final = struct.Struct("<iii")
"""Magic number, version and tokens: the head of karpathy/llm.c (dev/data/data_common.py), and of what took it over."""
_LLM_C_TYPES: Final = {(20240520, 1): "uint16", (20240801, 7): "uint32"}
_LLM_C_BYTES: Final = 1024
_BY_SUFFIX: Final = {".u16": "uint16", ".u32": "uint32"}
_BY_WIDTH: Final = {1: "uint8", 2: "uint16", 4: "uint32", 8: "uint64"}
INDEXED: Final = ".ds"


@dataclass(frozen=True, slots=True)
class Head:
    """The type of a file's tokens, where they begin, and how many they are."""

    kind: TokenType
    first_byte: int
    tokens: int


def head_of(storage: Storage, file: FileInfo, options: Options) -> Head:
    """Look into a file.

    Raises:
        SampleError: It holds no token ids, or nothing says of which type.
        StorageError: It cannot be read.
    """
    with open_unchanged(storage, file) as source:
        begin = read_fully(source, _LLM_C.size)
        if begin.startswith(_MAGIC):
            source.seek(0)
            return _numpy_head(source, file, options)
    found = _llm_c_head(begin, file, options)
    if found is not None:
        return found
    kind = options.kind or _said(storage, file, options)
    if kind is None:
        raise SampleError(
            f"{file.url} does not say the type of its tokens: it is no numpy array with a head; write "
            f"`format: {{name: tokens, dtype: uint16}}`, or another of {', '.join(NAMES)}"
        )
    if file.size % kind.itemsize:
        raise SampleError(
            f"{file.url}: its {file.size:,} bytes are no whole number of {kind.name} tokens: it is cut short, or of "
            "another type"
        )
    return Head(kind, 0, file.size // kind.itemsize)


def _llm_c_head(begin: bytes, file: FileInfo, options: Options) -> Head | None:
    """The head of a file that llm.c writes; None for a file without one.

    Raises:
        SampleError: The spec says another type.
    """
    magic, version, tokens = _LLM_C.unpack(begin) if len(begin) == _LLM_C.size else (0, 0, 0)
    name = _LLM_C_TYPES.get((magic, version))
    kind = None if name is None else token_type(name)
    if kind is None or file.size != _LLM_C_BYTES + tokens * kind.itemsize:
        return None
    if options.kind not in (None, kind):
        raise SampleError(f"{file.url} holds {name} by its head, and the spec says another dtype: leave it out")
    return Head(kind, _LLM_C_BYTES, tokens)


def boundaries_of(path: str, options: Options) -> str | None:
    """What beside a file, or the files of a pattern, says where documents end; None for nothing."""
    if not says_where_documents_end(options):
        return INDEX if parted(path)[1].lower().endswith(INDEXED) else None
    return options.boundaries


def _said(storage: Storage, file: FileInfo, options: Options) -> TokenType | None:
    """The type by the suffix, or by how many tokens its index counts."""
    link = parted(file.url)[1].lower()
    name = next((name for end, name in _BY_SUFFIX.items() if link.endswith(end)), None)
    if name is None and boundaries_of(file.url, options) == INDEX:
        end = last_end(storage, file)
        if end == 0 == file.size:
            return token_type("uint16")
        name = _BY_WIDTH.get(file.size // end) if end > 0 and file.size % end == 0 else None
        if name is None:
            raise SampleError(
                f"{file.url} has {file.size:,} bytes and its index counts {end:,} tokens, which is no whole number of "
                "bytes for each: one of the two is cut short, or they do not belong together"
            )
    return None if name is None else token_type(name)


def _numpy_head(source: BinaryIO, file: FileInfo, options: Options) -> Head:
    """The head of a file of numpy's format, read by numpy; nothing that is pickled is loaded.

    Raises:
        SampleError: It holds something else than one row of integers.
    """
    shape, found = _parsed(source, file)
    if found.hasobject:
        raise SampleError(f"{file.url} holds Python objects (pickles), which are never loaded; token ids are integers")
    if found.kind not in "iu":
        raise SampleError(f"{file.url} holds {found}, and token ids are integers")
    if len(shape) != 1:
        raise SampleError(
            f"{file.url} holds an array of shape {shape}: token files have one dimension; write it again with "
            "reshape(-1), and say `length: N` where each row is a document"
        )
    if options.kind is not None and options.kind != found.newbyteorder("<"):
        raise SampleError(f"{file.url} holds {found.name} and the spec says dtype {options.kind.name}: leave it out")
    first = source.tell()
    if file.size != first + shape[0] * found.itemsize:
        raise SampleError(
            f"{file.url} is cut short or damaged: {shape[0]:,} tokens of {found.name} and the head need "
            f"{first + shape[0] * found.itemsize:,} bytes, it has {file.size:,}"
        )
    return Head(cast(TokenType, found), first, shape[0])


def _parsed(source: BinaryIO, file: FileInfo) -> tuple[tuple[int, ...], np.dtype[np.generic]]:
    """Shape and type, as the head says."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what numpy finds odd in a damaged head is said below
            version = np.lib.format.read_magic(source)
            read = _READERS.get(version)
            shape, _, found = read(source, max_header_size=_LONGEST_HEAD) if read else ((), False, np.dtype(object))
    except Exception as error:  # numpy evaluates the head as Python: damaged ones fail in whichever way that does
        raise SampleError(f"{file.url}: the head of the numpy array is damaged: {error}") from error
    if read is None:
        raise SampleError(f"{file.url}: version {version[0]}.{version[1]} of numpy's format holds no integers")
    return shape, found
