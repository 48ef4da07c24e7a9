"""The laws of formats where files do not lie here: on S3, and on a storage of fsspec."""

import fsspec
import pytest

from tests.formats import test_format_laws as formats
from tests.formats import test_token_laws as tokens
from tests.formats.webdataset import test_laws as tars
from tests.storage.objects import new_root


class _Elsewhere:
    test_files_are_scanned_in_other_processes = None  # the tests of each storage say that it crosses to others

    def url(self, path):
        return f"{self._root}/{path.name}"

    def placed(self, path):
        for file in path.parent.iterdir():
            if file.is_file():
                self._put(f"{self._root}/{file.name}", file.read_bytes())
        return self.url(path)


class _OnS3(_Elsewhere):
    @pytest.fixture(autouse=True)
    def _place(self, s3, objects):
        self._root, self._put = new_root(), objects.put


class _InMemory(_Elsewhere):
    @pytest.fixture(autouse=True)
    def _place(self, tmp_path):
        self._root, self._put = f"memory://{tmp_path.name}", fsspec.filesystem("memory").pipe_file


KINDS = (
    formats.TestPlainJsonl,
    formats.TestGzipJsonl,
    formats.TestBzip2Jsonl,
    formats.TestXzJsonl,
    formats.TestLz4Jsonl,
    formats.TestZstdJsonl,
    formats.TestZstdOfManyFrames,
    formats.TestParquet,
    formats.TestArrowFile,
    formats.TestArrowStream,
    formats.TestFeather,
    formats.TestCsv,
    formats.TestTabs,
    formats.TestGzipCsv,
    formats.TestText,
    tars.TestUstar,
    tars.TestGzip,
    tokens.TestMegatron,
    tokens.TestNumpy,
    tokens.TestDatatrove,
    tokens.TestSeparated,
)

SOME = (
    formats.TestPlainJsonl,
    formats.TestZstdOfManyFrames,
    formats.TestParquet,
    formats.TestArrowFile,
    formats.TestCsv,
    formats.TestText,
    tars.TestUstar,
    tokens.TestMegatron,
    tokens.TestNumpy,
)
"""One of each format: how they are compressed makes no other difference there."""

for _place, _kinds in ((_OnS3, KINDS), (_InMemory, SOME)):
    for _kind in _kinds:  # each is a class of tests
        _name = f"{_kind.__name__}Of{_kind.format.name.title()}{_place.__name__}"
        globals()[_name] = type(_name, (_place, _kind), {})
