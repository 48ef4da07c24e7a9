"""All other URLs, through fsspec: the laws over a web server, memory and archives, and what goes wrong."""

import json
import os
import socket
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import fsspec
import numpy as np
import pytest

import mixtera
from mixtera.errors import PluginError, StorageError
from mixtera.lockfile.lock import read
from mixtera.registry import format_of, schemes, storage_of
from mixtera.stream import Stream
from mixtera.testing.storage import StorageLaws
from mixtera_backends.storage.fsspec import FsspecStorage, address, failures
from mixtera_backends.storage.fsspec.facts import file_info
from tests.forks import status_in_a_child
from tests.storage.web import Web

storage = FsspecStorage()


class TestMemory(StorageLaws):
    storage = storage

    @pytest.fixture
    def root(self, tmp_path):
        yield f"memory://laws/{tmp_path.name}"
        fsspec.filesystem("memory").store.clear()

    def put(self, url, data):
        fsspec.filesystem("memory").pipe_file(url, data)


class TestWeb(StorageLaws):
    storage = storage

    @pytest.fixture
    def root(self, tmp_path):
        with Web(tmp_path) as web:
            self.folder, self.url = tmp_path, web.url
            yield web.url

    def put(self, url, data):
        path = self.folder / url.removeprefix(self.url + "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


class TestZip(StorageLaws):
    """A chain: members of an archive, which is written anew with each put."""

    storage = storage

    @pytest.fixture
    def root(self, tmp_path):
        self.archive, self.members = tmp_path, {}
        return "zip://top"

    def put(self, url, data):
        self.members[url.removeprefix("zip://").partition("::")[0]] = data
        number = len(list(self.archive.iterdir()))
        with zipfile.ZipFile(self.archive / f"{number}.zip", "w") as archive:
            for name, content in self.members.items():
                archive.writestr(name, content)
        self.storage = _Inside(f"::file://{self.archive}/{number}.zip")

    def test_a_missing_file_is_named(self, root):
        super().test_a_missing_file_is_named(root)


class _Inside(FsspecStorage):
    """Members of one archive, without its name, as the laws ask for them."""

    def __init__(self, chain):
        super().__init__()
        self._chain = chain

    def expand(self, patterns):
        return super().expand([self._full(pattern) for pattern in patterns])

    def stat(self, url):
        return super().stat(self._full(url))

    def random_access(self, url):
        return super().random_access(self._full(url))

    def _full(self, url):
        return url if "::" in url else url + self._chain


@pytest.fixture
def web(tmp_path):
    with Web(tmp_path) as served:
        yield served


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(failures, "FIRST_PAUSE_SECONDS", 0.01)


def test_it_has_every_scheme_that_nobody_else_has():
    for url in ("memory://a", "http://h/a", "gs://b/a", "zip://a::s3://b/c.zip", "simplecache::s3://b/a"):
        assert isinstance(storage_of(url), FsspecStorage)
    assert storage_of("s3://b/a").name == "s3"
    assert storage_of("/a").name == "local"
    assert {"memory", "http", "zip", "s3", "file"} <= set(schemes())
    assert "gs" not in schemes()


def test_the_format_of_a_member_is_that_of_its_own_suffix():
    assert format_of("zip://a.jsonl::http://h/all.zip").name == "jsonl"
    assert format_of("a::b.jsonl").name == "jsonl"


@pytest.mark.parametrize(("url", "package"), [("gs://b/a.jsonl", "gcsfs"), ("abfs://b/*.jsonl", "adlfs")])
def test_a_package_that_is_missing_is_named(url, package):
    with pytest.raises(PluginError, match=rf"{package}"):
        storage.expand([url])
    with pytest.raises(PluginError, match=rf"{package}"):
        storage.open(url)


def test_a_scheme_that_nobody_knows():
    with pytest.raises(PluginError, match=r"no installed storage knows nosuch:// of nosuch://a, and fsspec"):
        storage_of("nosuch://a").stat("nosuch://a")


@pytest.mark.parametrize(
    ("url", "parts", "pattern"),
    [
        ("http://h/a*.txt", ("", "http", "h/a*.txt", ""), True),
        ("http://h/a.txt?download=true", ("", "http", "h/a.txt?download=true", ""), False),
        ("http://h/a?.txt", ("", "http", "h/a?.txt", ""), True),
        ("zip://in/*.txt::http://h/a.zip", ("", "zip", "in/*.txt", "::http://h/a.zip"), True),
        ("zip://::file:///a.zip", ("", "zip", "", "::file:///a.zip"), False),
        ("simplecache::http://h/*.txt", ("simplecache::", "http", "h/*.txt", ""), True),
    ],
)
def test_addresses_are_taken_apart_and_put_together(url, parts, pattern):
    found = address.Address.of(url)
    assert (found.caches, found.scheme, found.path, found.chain) == parts
    assert found.is_pattern == pattern
    assert found.url == url


def test_a_listing_asks_once_for_each_folder_and_each_file(web, tmp_path):
    for name in ("a/x/1.txt", "a/2.txt", "b/3.txt", "b/4.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"-")
    found = storage.expand([f"{web.url}/**/*.txt", f"{web.url}/*/*.txt"])
    assert [file.name for file in found] == ["2.txt", "3.txt", "a/2.txt", "a/x/1.txt", "b/3.txt"][2:]
    listed = sorted(path for method, path, _ in web.requests if path.endswith("/"))
    assert listed == sorted({*listed})
    described = [path for method, path, _ in web.requests if method == "HEAD"]
    assert len(described) == 3 + 2  # three files; two of them of the second pattern again


def test_near_ranges_are_one_request(web, tmp_path):
    data = np.random.default_rng(1).integers(0, 256, 1_000_000, np.uint8).tobytes()
    (tmp_path / "a.bin").write_bytes(data)
    access = storage.random_access(f"{web.url}/a.bin")
    web.requests.clear()
    starts, stops = np.array([0, 1_000, 500_000]), np.array([10, 2_000, 500_010])
    assert access.gather(starts, stops).to_pylist() == [data[a:b] for a, b in zip(starts, stops, strict=True)]
    assert sorted(asked for _, _, asked in web.requests) == ["bytes=0-1999", "bytes=500000-500009"]


def test_a_query_belongs_to_the_address_of_a_file(web, tmp_path):
    (tmp_path / "a.txt").write_bytes(b"abc")
    (file,) = storage.expand([f"{web.url}/a.txt?download=true"])
    assert file.size == 3
    with storage.open(file.url) as opened:
        assert opened.read() == b"abc"


@pytest.mark.parametrize("fault", ["busy", "cut"])
def test_what_may_pass_is_asked_again(web, tmp_path, quick, fault):
    data = bytes(range(256)) * 1_000
    (tmp_path / "a.bin").write_bytes(data)
    access = storage.random_access(f"{web.url}/a.bin")
    web.first(3, fault)
    starts, stops = np.array([0, 200_000]), np.array([10_000, 256_000])
    assert access.gather(starts, stops).to_pylist() == [data[:10_000], data[200_000:]]
    web.first(3, "busy")
    assert storage.stat(f"{web.url}/a.bin").size == len(data)
    assert storage.expand([f"{web.url}/*.bin"])[0].size == len(data)


def test_it_is_not_asked_for_ever(web, tmp_path, quick):
    (tmp_path / "a.bin").write_bytes(b"abc")
    access = storage.random_access(f"{web.url}/a.bin")
    web.choose = lambda method, path: "busy"
    with pytest.raises(StorageError, match=r"a\.bin cannot be read.*answers 503, again and again"):
        access.gather(np.array([0]), np.array([3]))
    with pytest.raises(StorageError, match=r"a\.bin cannot be read.*answers 503"):
        storage.stat(f"{web.url}/a.bin")


def test_a_server_that_does_not_answer_ends_in_time(web, tmp_path, quick, monkeypatch):
    (tmp_path / "a.bin").write_bytes(b"abc")
    monkeypatch.setattr(address, "TOTAL_SECONDS", 0.2)
    monkeypatch.setattr(failures, "ATTEMPTS", 2)
    web.choose = lambda method, path: "hang"
    with pytest.raises(StorageError, match=r"a\.bin cannot be read.*no answer in time"):
        storage.stat(f"{web.url}/a.bin")


def test_an_endless_redirect_ends(web, tmp_path):
    (tmp_path / "a.bin").write_bytes(b"abc")
    access = storage.random_access(f"{web.url}/a.bin")
    web.choose = lambda method, path: "redirect"
    for call in (
        lambda: storage.stat(f"{web.url}/a.bin"),
        lambda: storage.expand([f"{web.url}/*.bin"]),
        lambda: access.gather(np.array([0]), np.array([3])),
    ):
        with pytest.raises(StorageError, match="redirects without end"):
            call()


def test_an_unknown_host_is_refused_at_once(monkeypatch):
    asked = []

    def look_up(host, *arguments, **more):
        asked.append(host)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")  # whatever this machine's resolver does

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    for url in ("http://no-such-host.invalid/a.jsonl", "https://no-such-host.invalid/*.jsonl"):
        with pytest.raises(StorageError, match=r"no-such-host\.invalid.*the host is not known"):
            storage.expand([url])
    assert set(asked) == {"no-such-host.invalid"}
    assert len(asked) < failures.ATTEMPTS  # one look-up for the first, two for the second


def test_no_server_at_all(quick):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/a.jsonl"
        with pytest.raises(StorageError, match="no answer"):
            storage.stat(url)


def test_a_denial_is_final(web, tmp_path):
    (tmp_path / "a.bin").write_bytes(b"abc")
    web.choose = lambda method, path: "denied"
    with pytest.raises(StorageError, match=r"a\.bin.*access denied \(403\)"):
        storage.stat(f"{web.url}/a.bin")
    assert len(web.requests) == 2  # HEAD, then GET


def test_a_server_without_ranges_is_refused_and_not_read_wrongly(web, tmp_path):
    (tmp_path / "a.bin").write_bytes(b"0123456789")
    access = storage.random_access(f"{web.url}/a.bin")
    web.choose = lambda method, path: "no ranges"
    with pytest.raises(StorageError, match="the server sends the whole file where a range is asked for"):
        access.gather(np.array([2]), np.array([5]))


def test_a_server_that_does_not_say_the_size_is_refused(web, tmp_path):
    (tmp_path / "a.bin").write_bytes(b"0123456789")
    web.choose = lambda method, path: "no size"
    with pytest.raises(StorageError, match=r"a\.bin: the server does not say how large it is"):
        storage.stat(f"{web.url}/a.bin")


def test_a_folder_is_refused_with_a_pattern_to_use(web, tmp_path):
    (tmp_path / "folder").mkdir()
    for url in (f"{web.url}/folder", f"{web.url}/folder/"):
        with pytest.raises(StorageError, match=r"is a directory: name its files, for example .*folder/\*\.jsonl"):
            storage.stat(url)
    with pytest.raises(StorageError, match=r"\*\.txt matches no file in .*: it is empty, or not there"):
        storage.expand([f"{web.url}/nowhere/*.txt"])


def test_a_missing_file_comes_with_the_nearest_name(web, tmp_path):
    (tmp_path / "train.jsonl").write_bytes(b"")
    with pytest.raises(StorageError, match=r"did you mean http://.*/train\.jsonl\?"):
        storage.stat(f"{web.url}/trian.jsonl")
    assert read(f"{web.url}/no.lock") is None


def test_files_are_written_and_replaced(web):
    for content in (b"one", b"another"):
        storage.write("memory://written/deep/a.bin", content)
        with storage.open("memory://written/deep/a.bin") as file:
            assert file.read() == content
    storage.write("memory://written/b.bin", Path(__file__))
    assert storage.stat("memory://written/b.bin").size == Path(__file__).stat().st_size
    with pytest.raises(StorageError, match=r"http://.* cannot be read or written"):
        storage.write(f"{web.url}/a.bin", b"abc")


@pytest.mark.parametrize(
    ("facts", "modified", "etag"),
    [
        ({"mtime": 12.5}, 12_500_000_000, ""),
        ({"last_modified": "2024-05-01T10:00:00Z", "etag": '"a"'}, 1_714_557_600_000_000_000, "a"),
        ({"Last-Modified": "Wed, 01 May 2024 10:00:00 GMT", "ETag": 'W/"a"'}, 1_714_557_600_000_000_000, 'W/"a'),
        ({"date_time": (2024, 5, 1, 10, 0, 0), "CRC": 7}, 1_714_557_600_000_000_000, "7"),
        ({"updated": "no time", "blob_id": "x"}, 0, "x"),
    ],
)
def test_what_packages_say_of_a_file_becomes_its_fingerprint(facts, modified, etag):
    found = file_info(address.Address.of("x://a"), "a", {"size": 1, **facts})
    assert (found.modified_ns, found.etag) == (modified, etag)


@pytest.mark.parametrize("fault", ["unknown host", "redirect", "denied", "no ranges"])
def test_a_command_ends_with_a_word_and_leaves_nothing_behind(web, tmp_path, fault):
    (tmp_path / "a.jsonl").write_text('{"text": "a"}\n' * 20_000)
    url = "http://no-such-host.invalid/a.jsonl" if fault == "unknown host" else f"{web.url}/a.jsonl"
    web.choose = lambda method, path: fault if fault != "unknown host" else None
    spec = tmp_path / "spec.yaml"
    spec.write_text(f"version: 1\nsources: {{a: {{path: '{url}', content: text}}}}\nmixture: {{by: dataset}}\n")
    words = [str(Path(sys.executable).with_name("mixtera")), "index", str(spec), "--catalog", str(tmp_path / "catalog")]
    done = subprocess.run(words, capture_output=True, text=True, timeout=600)
    assert done.returncode == 3, done.stderr
    assert url in done.stderr
    assert "Traceback" not in done.stderr
    assert mixtera.Catalog.open(str(tmp_path / "catalog")).sources() == ()


def test_a_stream_goes_on_when_the_server_is_gone_for_a_while(tmp_path):
    """What is asked meanwhile meets no server; the same port answers again a second later."""
    for number in range(4):
        lines = "".join(json.dumps({"text": f"{number} {n} " + "x" * 400}) + "\n" for n in range(500))
        (tmp_path / f"{number}.jsonl").write_text(lines)
    spec = tmp_path / "spec.yaml"
    with Web(tmp_path) as web:
        port = int(web.url.rpartition(":")[2])
        spec.write_text(
            f"version: 1\nsources: {{a: {{path: '{web.url}/*.jsonl', content: text}}}}\nmixture: {{by: dataset}}\n"
            "order: {chunk_size: 64, lanes: 2}\n"
        )
        catalog = mixtera.Catalog.open(str(tmp_path / "catalog"))
        catalog.index(mixtera.load(str(spec)), workers=1)
        plan = mixtera.compile(mixtera.load(str(spec)), catalog)
        expected = [batch["sample"].to_pylist() for batch in plan.stream(batch_size=16)]
        stream = Stream(plan.data, plan.digest, batch_size=16, budget_bytes=1 << 16)
        found = [next(stream)["sample"].to_pylist() for _ in range(3)]
    again = Web(tmp_path, port)
    later = threading.Timer(1, again.__enter__)
    later.start()
    found += [batch["sample"].to_pylist() for batch in stream]
    later.join()
    asked = len(again.requests)
    again.__exit__()
    assert found == expected
    assert asked > 5


def test_a_replaced_file_is_refused_by_its_etag(web, tmp_path):
    """Same size, same second: only the etag of the server tells."""
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "a"}\n' * 100)
    spec = tmp_path / "spec.yaml"
    spec.write_text(
        f"version: 1\nsources: {{a: {{path: '{web.url}/a.jsonl', content: text}}}}\nmixture: {{by: dataset}}\n"
    )
    catalog = mixtera.Catalog.open(str(tmp_path / "catalog"))
    catalog.index(mixtera.load(str(spec)), workers=1)
    plan = mixtera.compile(mixtera.load(str(spec)), catalog)
    before = path.stat().st_mtime_ns
    path.write_text('{"text": "b"}\n' * 100)
    os.utime(path, ns=(before, before // 10**9 * 10**9 + (before + 1) % 10**9))
    with pytest.raises(StorageError, match=r"a\.jsonl changed since it was indexed \(its etag is another one\)"):
        next(plan.stream(batch_size=10))


def test_a_child_that_was_forked_reads_too(web, tmp_path):
    (tmp_path / "a.bin").write_bytes(b"abc")
    access = storage.random_access(f"{web.url}/a.bin")
    assert access.gather(np.array([0]), np.array([3])).to_pylist() == [b"abc"]
    if sys.version_info < (3, 12):
        assert status_in_a_child(lambda: access.gather(np.array([1]), np.array([3])).to_pylist() == [b"bc"]) == 0


def test_captures_over_any_scheme(tmp_path):
    lines = b'{"text": "a"}\n' * 3
    for name in ("en/2020/a.jsonl", "en/2021/b.jsonl", "de/2020/c.jsonl"):
        storage.write(f"memory://{tmp_path.name}/{name}", lines)
    path = f"memory://{tmp_path.name}/{{language}}/{{year}}/*.jsonl"
    spec = tmp_path / "spec.yaml"
    spec.write_text(
        f"version: 1\nsources: {{a: {{path: '{path}', content: text}}}}\nmixture: {{by: [language, year]}}\n"
    )
    loaded = mixtera.load(str(spec))
    catalog = mixtera.Catalog.open(str(tmp_path / "catalog"))
    assert catalog.index(loaded, workers=1).samples == 9
    seen = {
        name
        for batch in mixtera.compile(loaded, catalog).stream(batch_size=3)
        for name in batch["component"].to_pylist()
    }
    assert seen == {"de,2020", "en,2020", "en,2021"}
