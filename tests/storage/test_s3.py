"""The storage s3 against a real server: the laws, listing, messages. Faults: `test_s3_faults`."""

import io
import pickle
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from mixtera.errors import PluginError, StorageError
from mixtera.lockfile.lock import read
from mixtera.registry import storage_of, storage_of_file
from mixtera.testing.storage import StorageLaws
from mixtera_backends.storage.patterns import matcher
from mixtera_backends.storage.s3 import Patience, S3Storage
from mixtera_backends.storage.s3.blocks import BLOCK_BYTES
from mixtera_backends.storage.s3.objects import GAP_BYTES
from tests.storage.objects import new_root
from tests.storage.weed import BUCKET, KEY, SECRET

storage = S3Storage(Patience(attempts=2))


class TestS3(StorageLaws):
    storage = S3Storage()

    @pytest.fixture
    def root(self, s3, objects):
        self.objects = objects
        return new_root()

    def put(self, url, data):
        self.objects.put(url, data)


class TestS3WithoutObstore(TestS3):
    """What a child of a process that used obstore does, and without a cache."""

    @pytest.fixture
    def root(self, s3, objects, monkeypatch):
        self.objects = objects
        monkeypatch.setenv("MIXTERA_S3_CACHE_MB", "0")
        monkeypatch.setattr("mixtera_backends.storage.s3.clients.PROCESS.may_use_obstore", False)
        return new_root()


def test_it_is_registered_for_s3_urls():
    assert isinstance(storage_of("s3://bucket/key"), S3Storage)


@pytest.mark.parametrize("library", ["botocore", "obstore"])
def test_a_missing_library_is_named_with_its_extra(objects, s3, monkeypatch, library):
    url = f"{new_root()}/a.bin"
    objects.put(url, b"abc")
    for name in [name for name in sys.modules if name.partition(".")[0] == library]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(PluginError, match=rf"{library}.*pip install 'mixtera\[s3\]'"):
        S3Storage().random_access(url).gather(np.array([0]), np.array([1]))


def test_it_is_sent_to_other_processes_without_its_connections(objects, s3):
    url = f"{new_root()}/a.bin"
    objects.put(url, b"abc")
    used = S3Storage(Patience(attempts=2))
    assert pickle.loads(pickle.dumps(used)).stat(url) == used.stat(url)


def test_the_reference_page_has_its_figures():
    page = (Path(__file__).parents[2] / "docs" / "reference" / "storage.md").read_text()
    assert f"blocks of {BLOCK_BYTES >> 10} KiB" in page
    assert (
        f"reads for up to {Patience().budget_seconds} s, listings and descriptions {Patience().attempts} times" in page
    )


@pytest.mark.slow
def test_ten_thousand_objects_are_listed_in_eleven_requests(objects, proxy):
    """SeaweedFS answers 1,000 keys a page, as S3 does."""
    root = new_root()
    objects.put_many([f"{root}/d{i % 7}/part-{i:05}.jsonl" for i in range(10_000)], b"{}\n")
    files = storage.expand([f"{root}/**/*.jsonl"])
    assert len(files) == 10_000
    assert [file.name for file in files] == sorted(f"d{i % 7}/part-{i:05}.jsonl" for i in range(10_000))
    assert 10 <= len(proxy.requests) <= 11
    assert {request.method for request in proxy.requests} == {"GET"}


def test_only_the_part_before_the_wildcard_is_listed(objects, proxy):
    root = new_root()
    for name in ("a-1.txt", "a-2.txt", "b-1.txt", "deep/a-3.txt"):
        objects.put(f"{root}/{name}", b"-")
    assert [file.name for file in storage.expand([f"{root}/a-*.txt"])] == ["a-1.txt", "a-2.txt"]
    (request,) = proxy.requests
    assert "a-&" in request.path + "&"
    assert "delimiter=%2F" in request.path


@pytest.mark.parametrize(
    ("pattern", "key", "expected"),
    [
        ("a/**", "a/b/c", True),
        ("a/**", "a/.b/c", False),
        ("a/**/c", "a/c", True),
        ("a/**/c", "a/x/y/c", True),
        ("a/*/c", "a/x/y/c", False),
        ("a/*", "a/.hidden", False),
        ("a/.*", "a/.hidden", True),
        ("[!a]x", "bx", True),
        ("[!a]x", "ax", False),
        ("[!a]x", "/x", False),
        ("a[", "a[", True),
        ("[]]", "]", True),
        ("[a-c]?[é]", "b\né", True),
        ("a.b", "axb", False),
        ("*.*", "a.b.c", True),
        ("x**y", "xaby", True),
        ("x**y", "xa/by", False),
    ],
)
def test_patterns_match_as_those_of_a_shell(pattern, key, expected):
    assert bool(matcher(pattern)(key)) is expected


NAMES = ["with space.txt", "é#?%20+&=.txt", "日本.txt", "new\nline.txt", "a[1].txt", "~t'\"$.txt"]


@pytest.mark.parametrize("name", NAMES)
def test_any_key_is_listed_described_and_read(objects, s3, name):
    url = f"{new_root()}/{name}"
    objects.put(url, b"0123456789")
    (found,) = storage.expand([f"{url.rpartition('/')[0]}/*"])
    assert (found.url, found.name) == (url, name)
    assert storage.expand([url]) == [found] == [storage.stat(url)]
    assert storage.random_access(url).gather(np.array([2]), np.array([5])).to_pylist() == [b"234"]
    with storage.open(url) as file:
        assert file.read() == b"0123456789"


def test_a_folder_is_refused_with_a_pattern_to_use(objects, s3):
    root = new_root()
    objects.put(f"{root}/data/a.jsonl", b"-")
    for url in (f"{root}/data", f"{root}/data/"):
        with pytest.raises(StorageError, match=r"is a folder.*/data/\*\*/\*\.jsonl"):
            storage.stat(url)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("s3://", "names no bucket"),
        ("s3:///key", "names no bucket"),
        ("s3://b ad/key", "names no bucket"),
        ("s3://mix", r"is a bucket.*s3://mix/\*\*/\*\.jsonl"),
        ("s3://mix/", "is a bucket"),
        ("s3://*/a.jsonl", "a bucket cannot be a pattern"),
    ],
)
def test_urls_that_name_no_object(s3, url, message):
    with pytest.raises(StorageError, match=message):
        storage.expand([url])


def test_a_missing_object_comes_with_the_nearest_name(objects, s3):
    root = new_root()
    objects.put(f"{root}/train.jsonl", b"-")
    with pytest.raises(StorageError, match=rf"no object {root}/trian\.jsonl: did you mean {root}/train\.jsonl\?"):
        storage.expand([f"{root}/trian.jsonl"])
    with pytest.raises(StorageError, match=f"nothing lies below {root}/nowhere/"):
        storage.expand([f"{root}/nowhere/a.jsonl"])
    with pytest.raises(StorageError, match=rf"of 1 below {root}/ none does"):
        storage.expand([f"{root}/*.parquet"])


def test_no_object_is_a_file_not_found_for_locks(objects, s3):
    root = new_root()
    objects.put(f"{root}/mix.yaml.lock", b"content")
    assert read(f"{root}/mix.yaml.lock") == b"content"
    assert read(f"{root}/other.lock") is None
    with pytest.raises(StorageError) as found:
        storage.open(f"{root}/other.lock")
    assert isinstance(found.value.__cause__, FileNotFoundError)


def test_a_missing_bucket_is_named_and_is_no_missing_object(s3):
    for call in (storage.stat, storage.open, lambda url: storage.expand([url + "*"])):
        with pytest.raises(StorageError, match=r"s3://nowhere/a.*has no such bucket") as found:
            call("s3://nowhere/a")
        assert not isinstance(found.value.__cause__, FileNotFoundError)


def test_near_ranges_are_one_request_and_far_ones_several(objects, proxy, monkeypatch):
    monkeypatch.setenv("MIXTERA_S3_CACHE_MB", "0")
    data = np.random.default_rng(1).integers(0, 256, 4 * GAP_BYTES, np.uint8).tobytes()
    url = f"{new_root()}/a.bin"
    objects.put(url, data)
    access = storage.random_access(url)
    proxy.requests.clear()
    starts = np.array([0, 100 + GAP_BYTES, 3 * GAP_BYTES])
    stops = np.array([100, 200 + GAP_BYTES, 3 * GAP_BYTES + 7])
    assert access.gather(starts, stops).to_pylist() == [
        data[a:b] for a, b in zip(starts.tolist(), stops.tolist(), strict=True)
    ]
    ranges = {request.range for request in proxy.requests}
    assert ranges == {f"bytes=0-{GAP_BYTES + 199}", f"bytes={3 * GAP_BYTES}-{3 * GAP_BYTES + 6}"}
    assert all(request.headers["if-match"].strip('"') == storage.stat(url).etag for request in proxy.requests[:2])
    access.close()
    with pytest.raises(StorageError, match="is closed"):
        access.gather(starts, stops)


def test_a_file_reads_ahead_only_while_it_is_read_on(objects, proxy):
    data = np.random.default_rng(2).integers(0, 256, 3_000_000, np.uint8).tobytes()
    url = f"{new_root()}/a.bin"
    objects.put(url, data)
    with storage.open(url) as file:
        proxy.requests.clear()
        assert b"".join(iter(lambda: file.read(1000), b"")) == data
        assert len(proxy.requests) <= 7
        assert file.read(1) == b""
        proxy.requests.clear()
        for start in (2_000_000, 1_000_000, 10):
            file.seek(start)
            assert file.read(100) == data[start : start + 100]
        assert [request.range for request in proxy.requests] == [
            f"bytes={start}-{start + 99}" for start in (2_000_000, 1_000_000, 10)
        ]
        file.seek(-5, io.SEEK_END)
        assert file.read(100) == data[-5:]
        with pytest.raises(ValueError, match="before the beginning"):
            file.seek(-1)


def test_a_replaced_object_is_refused_and_not_mixed_in(objects, s3):
    url = f"{new_root()}/a.bin"
    objects.put(url, b"a" * 1000)
    indexed = storage.stat(url)
    access, file = storage.random_access(url), storage.open(url)
    pinned = storage_of_file(indexed)
    objects.put(url, b"b" * 1000)
    ranges = np.array([0, 500]), np.array([10, 510])
    with pytest.raises(StorageError, match=rf"{url} changed while it was read.*mixtera index"):
        access.gather(*ranges)
    with pytest.raises(StorageError, match=f"{url} changed while it was read"):
        file.read(10)
    with pytest.raises(StorageError, match=f"{url} changed since it was indexed"):
        pinned.random_access(url).gather(*ranges)
    with pytest.raises(StorageError, match=f"{url} changed since it was indexed"):
        pinned.open(url).read(10)
    assert storage.random_access(url).gather(*ranges).to_pylist() == [b"b" * 10] * 2


def test_a_pinned_object_is_not_described_again(objects, proxy):
    url = f"{new_root()}/a.bin"
    objects.put(url, b"abc")
    pinned = storage_of_file(storage.stat(url))
    proxy.requests.clear()
    assert pinned.random_access(url).size == 3
    with pinned.open(url) as file:
        assert file.read() == b"abc"
    assert [request.method for request in proxy.requests] == ["GET"]


def test_a_deleted_object_is_gone(objects, s3):
    url = f"{new_root()}/a.bin"
    objects.put(url, b"abc")
    access = storage.random_access(url)
    objects.delete(url)
    with pytest.raises(StorageError, match=rf"{url} cannot be read: it is gone"):
        access.gather(np.array([0]), np.array([1]))


def test_credentials_may_come_from_a_profile(objects, s3, tmp_path, monkeypatch):
    url = f"{new_root()}/a.bin"
    objects.put(url, b"abc")
    endpoint = s3.url
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL", "AWS_REGION"):
        monkeypatch.delenv(name)
    (tmp_path / "credentials").write_text(f"[lab]\naws_access_key_id={KEY}\naws_secret_access_key={SECRET}\n")
    (tmp_path / "config").write_text(f"[profile lab]\nregion=eu-north-1\nendpoint_url={endpoint}\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_PROFILE", "lab")
    assert storage.random_access(url).gather(np.array([0]), np.array([3])).to_pylist() == [b"abc"]
    monkeypatch.setenv("AWS_PROFILE", "lib")
    with pytest.raises(StorageError, match=r"lib.*AWS_PROFILE"):
        storage.stat(url)


def test_no_credentials(s3, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    with pytest.raises(StorageError, match=r"s3://mix/a\.bin.*no AWS credentials.*AWS_PROFILE"):
        storage.stat("s3://mix/a.bin")


@pytest.mark.parametrize("name", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
def test_wrong_credentials_are_named_but_not_repeated(objects, s3, monkeypatch, name):
    url = f"{new_root()}/a.bin"
    objects.put(url, b"abc")
    indexed = storage.stat(url)
    monkeypatch.setenv(name, "WRONGVALUE")
    for call in (
        lambda: storage.stat(url),
        lambda: storage.expand([f"s3://{BUCKET}/*"]),
        lambda: storage.pinned(indexed).random_access(url).gather(np.array([0]), np.array([1])),
    ):
        with pytest.raises(StorageError, match=r"s3://mix/.*(denied|refuses the credentials)") as found:
            call()
        assert not re.search(f"WRONGVALUE|{SECRET}|{KEY}", str(found.value))


def test_anybody_may_read_only_what_the_server_lets(objects, s3, monkeypatch):
    url = f"{new_root()}/a.bin"
    objects.put(url, b"abc")
    monkeypatch.setenv("AWS_SKIP_SIGNATURE", "true")
    with pytest.raises(StorageError, match="access denied"):
        storage.stat(url)


def test_an_unknown_host_is_refused_at_once(s3, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://no-such-host.invalid:9000")
    with pytest.raises(StorageError, match=r"no-such-host\.invalid.*not known.*AWS_ENDPOINT_URL"):
        storage.stat("s3://mix/a.bin")


@pytest.mark.parametrize("endpoint", ["ftp//x", "127.0.0.1:80", "http://"])
def test_a_broken_endpoint_is_named(s3, monkeypatch, endpoint):
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    with pytest.raises(StorageError, match=re.escape(endpoint)):
        storage.stat("s3://mix/a.bin")


def test_of_several_that_create_an_object_one_succeeds(s3):
    for _ in range(5):
        url = f"{new_root()}/a.json"
        with ThreadPoolExecutor(8) as threads:
            found = list(threads.map(lambda number, url=url: S3Storage().create(url, b"%d" % number), range(8)))
        assert sum(found) == 1
        assert S3Storage().open(url).read() == b"%d" % found.index(True)


def test_many_objects_are_deleted_and_missing_ones_are_no_error(s3, objects):
    root = new_root()
    urls = [f"{root}/{number:04}.bin" for number in range(1010)]
    objects.put_many(urls, b"a")
    S3Storage().delete([*urls[1:], f"{root}/never.bin"])
    assert [file.url for file in S3Storage().expand([f"{root}/*"])] == urls[:1]
    S3Storage().delete([])


def test_who_may_not_write_is_told_what_is_missing(proxy):
    proxy.choose = lambda request: "denied"
    with pytest.raises(StorageError, match=r"a.json cannot be written: access denied .*s3:PutObject"):
        S3Storage().create(f"{new_root()}/a.json", b"")
    with pytest.raises(StorageError, match=r"a.json cannot be deleted: access denied .*s3:DeleteObject"):
        S3Storage().delete([f"{new_root()}/a.json"])
