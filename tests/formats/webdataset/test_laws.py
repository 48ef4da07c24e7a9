"""The laws of formats, for tars of every dialect and compression; the tars are written by the standard library."""

from __future__ import annotations

import gzip
import lzma
import tarfile

import zstandard

from mixtera.formats.webdataset import WebDataset
from mixtera.testing.format import FormatLaws
from tests.formats.webdataset.tars import members_of, tar_bytes


class WebDatasetLaws(FormatLaws):
    format = WebDataset()
    suffix = ".tar"


class TestUstar(WebDatasetLaws):
    def write(self, path, records):
        path.write_bytes(tar_bytes(members_of(records)))


class TestGnuWithLongNames(WebDatasetLaws):
    """Each header is behind a member that holds its name."""

    def write(self, path, records):
        long = [(f"{'a folder/' * 20}{name}", data) for name, data in members_of(records)]
        path.write_bytes(tar_bytes(long, tarfile.GNU_FORMAT))


class TestPaxWithUnicodeNames(WebDatasetLaws):
    """Each header is behind PAX records."""

    def write(self, path, records):
        path.write_bytes(tar_bytes([(f"wörld 世界/{n}", data) for n, data in members_of(records)], tarfile.PAX_FORMAT))


class TestPrefix(WebDatasetLaws):
    """Names of which the folders stand in the prefix of ustar."""

    def write(self, path, records):
        path.write_bytes(tar_bytes([(f"{'f' * 60}/{'g' * 60}/{n}", data) for n, data in members_of(records)]))


class TestGzip(WebDatasetLaws):
    suffix = ".tar.gz"

    def write(self, path, records):
        path.write_bytes(gzip.compress(tar_bytes(members_of(records))))


class TestZstd(WebDatasetLaws):
    suffix = ".tar.zst"

    def write(self, path, records):
        path.write_bytes(zstandard.ZstdCompressor().compress(tar_bytes(members_of(records))))


class TestXz(WebDatasetLaws):
    suffix = ".tar.xz"

    def write(self, path, records):
        path.write_bytes(lzma.compress(tar_bytes(members_of(records)), preset=0))
