"""The whole way over S3, as a user goes it: commands and training processes of their own."""

import io
import itertools
import json
import os
import subprocess
import sys
import tarfile
import threading
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

import mixtera
from mixtera.artifact.paging import ORIGIN
from mixtera.errors import PlanError, StorageError
from mixtera.stream import Stream
from tests import commands
from tests.paged import far
from tests.storage.corpus import write_both
from tests.storage.faulty import FaultyProxy
from tests.storage.objects import new_root
from tests.storage.weed import BUCKET, SECRET, Weed

TRAINING = """
import sys, warnings
warnings.simplefilter("error")
import mixtera
from mixtera.adapters.torch import loader

def take(batches, count):
    rows = []
    for _, batch in zip(range(count), batches):
        rows += zip(batch["sample"].tolist(), batch["text"])
    return rows

if __name__ == "__main__":
    plan = mixtera.Plan.open(sys.argv[1])
    stream = plan.stream(batch_size=8)
    expected = []
    for _ in range(60):
        batch = next(stream)  # obstore is used here, before the fork, and the stream stays open
        expected += zip(batch["sample"].to_pylist(), batch["text"].to_pylist())
    first = loader(plan, batch_size=8, num_workers=2, multiprocessing_context=sys.argv[2])
    found = take(first, 40)
    again = loader(plan, batch_size=8)
    again.load_state_dict(first.state_dict())
    found += take(again, 20)
    assert found == expected, "other samples"
    next(stream)
    print("the same", len(found))
"""


class Place:
    """A directory with both specs, and the commands there."""

    def __init__(self, path: Path, server: Weed, root: str) -> None:
        self.path, self.server, self.root = path, server, root

    def run(self, *words: str, code: int = 0, **variables: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, **self.server.environment, **variables}
        if words[0] == sys.executable:
            done = subprocess.run([*words], cwd=self.path, env=environment, capture_output=True, text=True, timeout=600)
        else:
            done = commands.run(words, self.path, environment)
        assert done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        assert SECRET not in done.stdout + done.stderr
        return done

    def stream(self, plan: str, *words: str) -> list[dict[str, object]]:
        lines = self.run("stream", plan, "--format", "jsonl", *words).stdout.splitlines()
        return [json.loads(line) for line in lines]


@pytest.fixture(scope="module")
def place(weed, objects, tmp_path_factory):
    """The corpus, indexed and compiled by the commands."""
    made = Place(tmp_path_factory.mktemp("remote"), weed, new_root())
    write_both(made.root, objects, made.path)
    made.run("index", "remote.yaml", "--catalog", "remote-catalog", "--quiet")
    made.run("compile", "remote.yaml", "--catalog", "remote-catalog", "-o", "remote")
    with closing(mixtera.Catalog.open(str(made.path / "local-catalog"))) as catalog:
        spec = mixtera.load(str(made.path / "local.yaml"))
        catalog.index(spec)
        mixtera.compile(spec, catalog).save(str(made.path / "local"))
    return made


def test_a_stream_from_s3_is_that_of_a_disk(place):
    remote = place.stream("remote")
    assert remote == place.stream("local")
    assert len(remote) > 1000
    assert {row["component"] for row in remote} == {"english", "packed", "code"}


def test_a_second_index_reads_nothing(place):
    assert "0 files read" in place.run("index", "remote.yaml", "--catalog", "remote-catalog").stdout


def test_explain_describes_it(place):
    assert "Reading" in place.run("explain", "remote.yaml", "--catalog", "remote-catalog").stdout


def test_a_lock_pins_the_etags(place):
    place.run("lock", "remote.yaml", "--catalog", "remote-catalog", "--file", "remote.lock")
    assert "etag" in (place.path / "remote.lock").read_text()


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_workers_read_what_the_trainer_read_before_it_started_them(place, method):
    script = place.path / "train.py"
    script.write_text(TRAINING)
    assert place.run(sys.executable, str(script), "remote", method).stdout == "the same 480\n"


def test_a_spec_lies_on_s3_too(place, objects, s3):
    objects.put(f"{place.root}/mix.yaml", (place.path / "remote.yaml").read_bytes())
    assert mixtera.load(f"{place.root}/mix.yaml") is not None
    assert f"{place.root}/mixx.yaml" in place.run("check", f"{place.root}/mixx.yaml", code=1).stderr


@pytest.mark.parametrize(
    ("pattern", "code", "said"),
    [
        ("s3://nowhere/*.jsonl", 3, "s3://nowhere/*.jsonl cannot be read: .*no such bucket"),
        (f"s3://{BUCKET}/no-such-folder/*.jsonl", 3, "matches no object: there is none at"),
    ],
)
def test_what_is_not_there_ends_with_its_name(place, tmp_path, pattern, code, said):
    spec = (place.path / "remote.yaml").read_text().replace(f"{place.root}/plain/*.jsonl", pattern)
    (tmp_path / "bad.yaml").write_text(spec)
    error = place.run("index", str(tmp_path / "bad.yaml"), "--catalog", str(tmp_path / "catalog"), code=code).stderr
    assert pattern in error
    assert said.split(": ")[-1].removeprefix(".*") in error


def test_a_server_that_nobody_runs_ends_with_advice(place, tmp_path):
    words = ("index", "remote.yaml", "--catalog", str(tmp_path / "catalog"))
    error = place.run(*words, code=3, AWS_ENDPOINT_URL="http://no-such-host.invalid").stderr
    assert "no-such-host.invalid" in error
    assert "AWS_ENDPOINT_URL" in error


def test_a_plan_lies_on_s3(place, objects, s3, tmp_path, monkeypatch):
    """Ranks of two processes and the command line read it; the machine copies it once."""
    plan, cache = f"{new_root()}/plans/web", tmp_path / "cache"
    words = ("compile", "remote.yaml", "--catalog", "remote-catalog", "-o", plan)
    digest = place.run(*words).stdout.strip()
    lines = place.run("stream", plan, "--format", "jsonl", MIXTERA_CACHE=str(cache)).stdout.splitlines()
    assert [json.loads(line) for line in lines] == place.stream("local")
    in_pages = f"{new_root()}/plans/paged"
    far(mixtera.Plan.open(str(place.path / "local")), in_pages, monkeypatch, tmp_path / "far")
    for url, method, least in ((in_pages, "fork", "0"), (plan, "spawn", "1000000")):
        words = (sys.executable, "-c", TRAINING, url, method)
        done = place.run(*words, MIXTERA_CACHE=str(cache / method), MIXTERA_PAGED_BYTES=least)
        assert "the same" in done.stdout
    (paged,) = [path for path in (cache / "fork" / "plans").iterdir() if path.is_dir()]
    assert (paged / ORIGIN).read_text() == in_pages
    assert digest in place.run("explain", f"{plan}/plan.json", MIXTERA_CACHE=str(cache)).stdout
    (copy,) = [path for path in (cache / "plans").iterdir() if path.is_dir()]
    names = sorted(path.name for path in copy.iterdir())
    files = sorted(name.rpartition("/")[2] for name in objects.files.find(plan))
    assert files == names
    assert sorted(objects.files.ls(plan, refresh=True)) == sorted(
        f"{plan.removeprefix('s3://')}/{name}" for name in (copy.name, "plan.json")
    )


def test_a_plan_on_s3_is_replaced_in_one_step(place, s3, objects, tmp_path, monkeypatch):
    monkeypatch.setenv("MIXTERA_CACHE", str(tmp_path / "cache"))
    plan, made = f"{new_root()}/plan", mixtera.Plan.open(str(place.path / "local"))
    made.save(plan)
    before = objects.files.cat(f"{plan}/plan.json")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    with pytest.raises(StorageError, match=r"access denied|refuses the credentials"):
        made.save(plan)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3.environment["AWS_SECRET_ACCESS_KEY"])
    assert objects.files.cat(f"{plan}/plan.json") == before
    mixtera.Plan.open(str(place.path / "remote")).save(plan)
    opened = mixtera.Plan.open(plan + "/")
    assert opened.digest == mixtera.Plan.open(str(place.path / "remote")).digest
    key = mixtera.Plan.open(plan).path.name
    objects.delete(f"{plan}/{key}/files.arrow")
    assert len(mixtera.Plan.open(plan)) == len(opened)  # the copy is whole
    monkeypatch.setenv("MIXTERA_CACHE", str(tmp_path / "another"))
    with pytest.raises(PlanError, match=rf"the plan {plan} is damaged: files\.arrow is missing"):
        mixtera.Plan.open(plan)
    assert [path.suffix for path in (tmp_path / "another" / "plans").iterdir()] == [".lock"]


def test_a_copy_of_a_plan_directory_is_a_plan(place, s3, objects, tmp_path, monkeypatch):
    monkeypatch.setenv("MIXTERA_CACHE", str(tmp_path / "cache"))
    plan = f"{new_root()}/copied"
    for file in (place.path / "local").iterdir():
        objects.put(f"{plan}/{file.name}", file.read_bytes())
    assert mixtera.Plan.open(plan).digest == mixtera.Plan.open(str(place.path / "local")).digest
    (copy,) = [path for path in (tmp_path / "cache" / "plans").iterdir() if path.is_dir()]
    (copy / "rows.u16").write_bytes(b"")
    with pytest.raises(PlanError, match=rf"the plan {plan} \(its copy is .*\) is damaged: rows\.u16"):
        mixtera.Plan.open(plan)


def test_what_is_no_plan_is_refused_and_not_overwritten(place, s3, objects, tmp_path, monkeypatch):
    monkeypatch.setenv("MIXTERA_CACHE", str(tmp_path / "cache"))
    root, plan = new_root(), mixtera.Plan.open(str(place.path / "local"))
    with pytest.raises(PlanError, match=rf"{root}/nothing does not exist; `mixtera compile SPEC -o {root}/nothing`"):
        mixtera.Plan.open(f"{root}/nothing")
    objects.put(f"{root}/other/plan.json", b'{"name": "a plan of another kind"}')
    with pytest.raises(PlanError, match=r"is not a plan: its plan\.json is another one"):
        mixtera.Plan.open(f"{root}/other")
    with pytest.raises(PlanError, match="is not that of a plan"):
        plan.save(f"{root}/other")
    with pytest.raises(StorageError, match="has no such bucket"):
        plan.save("s3://no-such-bucket-here/plan")
    monkeypatch.setenv("MIXTERA_CACHE", "/proc/nowhere")
    plan.save(f"{root}/good")
    with pytest.raises(StorageError, match=r"cannot be copied to /proc/nowhere/plans: .*MIXTERA_CACHE"):
        mixtera.Plan.open(f"{root}/good")


def test_a_spec_and_its_lock_lie_on_s3(place, objects):
    root = new_root()
    spec = (place.path / "remote.yaml").read_bytes()
    objects.put(f"{root}/mixture.yaml", spec)
    words = (f"{root}/mixture.yaml", "--catalog", "remote-catalog")
    place.run("lock", *words)
    assert objects.files.exists(f"{root}/mixture.yaml.lock")
    place.run("lock", "--check", *words)
    place.run("lock", *words)
    objects.put(f"{root}/mixture.yaml", spec.replace(b"weight: 50", b"weight: 51"))
    error = place.run("compile", *words, "-o", "moved", code=1).stderr
    assert f"does not compile to what {root}/mixture.yaml.lock says" in error
    objects.put(f"{root}/other.lock", b"something else")
    error = place.run("lock", *words, "--file", f"{root}/other.lock", code=1).stderr
    assert "holds something that is not a lock" in error


def test_a_large_object_is_written_in_parts(s3, objects, tmp_path, monkeypatch):
    from mixtera_backends.storage.s3 import S3Storage, upload

    data = os.urandom(12 << 20)
    (tmp_path / "large.bin").write_bytes(data)
    monkeypatch.setattr(upload, "PART_BYTES", 5 << 20)
    url = f"{new_root()}/large.bin"
    S3Storage().write(url, tmp_path / "large.bin")
    assert objects.files.cat(url) == data
    assert objects.files.info(url)["ETag"].strip('"').endswith("-3")


def test_a_replaced_object_ends_the_stream(weed, objects, s3, tmp_path):
    """Same size and, within a second, the same time: only the etag tells."""
    other = Place(tmp_path, weed, new_root())
    write_both(other.root, objects, other.path)
    with closing(mixtera.Catalog.open(str(tmp_path / "catalog"))) as catalog:
        spec = mixtera.load(str(tmp_path / "remote.yaml"))
        catalog.index(spec)
        mixtera.compile(spec, catalog).save(str(tmp_path / "plan"))
        content = (tmp_path / "data" / "plain" / "a1.jsonl").read_bytes()
        objects.put(f"{other.root}/plain/a1.jsonl", content.replace(b"page", b"Page"))
        error = other.run("stream", "plan", code=3).stderr
        assert f"{other.root}/plain/a1.jsonl changed since it was indexed" in error
        assert "mixtera index" in error
        catalog.index(spec)
        plan = mixtera.compile(spec, catalog)
    texts = [text for batch in plan.stream(batch_size=16) for text in batch["text"].to_pylist()]
    assert sum(text.startswith("Page") for text in texts) > 100


def test_what_fails_is_not_tried_again_by_the_fetches_after_it(place, proxy):
    """Each of them would try for minutes, and the stream end after the last."""
    plan = mixtera.Plan.open(str(place.path / "remote"))
    proxy.choose = lambda request: "denied"
    with pytest.raises(StorageError, match="access denied"):
        next(plan.stream(batch_size=16))
    assert len(proxy.met) == 1


INTERRUPTED = """
import os, signal, sys, threading
from mixtera.cli.main import main
threading.Timer(0, lambda: (sys.stdin.readline(), os.kill(os.getpid(), signal.SIGINT))).start()
sys.argv[0] = "mixtera"
sys.exit(main())
"""


def test_who_interrupts_a_stream_does_not_wait_for_a_server_that_does_not_answer(place, proxy):
    asked = threading.Event()

    def choose(request):
        asked.set()
        return "reset"

    proxy.choose = choose
    words = [sys.executable, "-c", INTERRUPTED, "stream", str(place.path / "remote")]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert asked.wait(600)
        _, said = process.communicate("now\n", timeout=120)  # it is tried for 180 s
    assert (process.returncode, said) == (130, "mixtera: interrupted\n")


def test_a_copy_elsewhere_is_read_after_a_remap(place, objects, tmp_path):
    root = new_root()
    write_both(root, objects, tmp_path)
    assert place.stream("remote", "--remap", f"{place.root}={root}", "--limit", "50") == place.stream(
        "local", "--limit", "50"
    )


def _read_stripes_over_a_restart(server, proxy, objects, directory, monkeypatch):
    """Images of a tar, which come in stripes that the machine shares: the server is killed while the tenth comes."""
    root, random, sink = new_root(), np.random.default_rng(4), io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w") as tar:
        for number in range(80):
            member = tarfile.TarInfo(f"{number:03d}.jpg")
            member.size = 120_000
            tar.addfile(member, io.BytesIO(random.bytes(member.size)))
    objects.put(f"{root}/images.tar", sink.getvalue())
    spec = directory / "images.yaml"
    spec.write_text(
        f"version: 1\nname: images\nsources: {{a: {{path: '{root}/*.tar', content: {{image: jpg}}}}}}\n"
        "mixture: {by: dataset}\norder: {lanes: 1, granule: 8}\n"
    )
    monkeypatch.setenv("MIXTERA_S3_REQUEST_BYTES", "500000")
    loaded = mixtera.load(str(spec))
    with closing(mixtera.Catalog.open(str(directory / "images"))) as catalog:
        catalog.index(loaded, workers=1)
        plan = mixtera.compile(loaded, catalog)
    again = threading.Timer(1, server.start)

    def streamed(spool):
        spool.mkdir()
        monkeypatch.setenv("MIXTERA_SPOOL", str(spool))
        monkeypatch.setenv("MIXTERA_S3_READER", spool.name)  # so that it has clients of its own
        return [row for batch in plan.stream(batch_size=8) for row in batch["image"].to_pylist()]

    def choose(request):
        if request.range is not None and next(asked) == 10:
            server.kill()
            again.start()

    expected = streamed(directory / "before")
    asked = itertools.count(1)
    proxy.requests.clear()
    proxy.choose = choose
    assert streamed(directory / "during") == expected
    again.join()
    assert len(list((directory / "during").rglob("*.stripe"))) > 10
    assert not list((directory / "during").rglob("*.part"))
    ranges = [request.range for request in proxy.requests]
    assert len(ranges) > len(set(ranges))


def test_a_stream_goes_on_when_the_server_is_killed_and_restarted(objects_of, tmp_path, s3, monkeypatch):
    server = Weed(tmp_path / "server")
    (tmp_path / "server").mkdir()
    server.start()
    try:
        write_both(new_root(), objects_of(server), tmp_path)
        with FaultyProxy(server.port) as proxy, closing(mixtera.Catalog.open(str(tmp_path / "catalog"))) as catalog:
            monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
            monkeypatch.setenv("MIXTERA_S3_CACHE_MB", "0")
            spec = mixtera.load(str(tmp_path / "remote.yaml"))
            catalog.index(spec)
            plan = mixtera.compile(spec, catalog)
            expected = [batch["sample"].to_pylist() for batch in plan.stream(batch_size=16)]
            stream = Stream(plan.data, plan.digest, batch_size=16, budget_bytes=1 << 16)
            found = [next(stream)["sample"].to_pylist() for _ in range(3)]
            server.kill()
            proxy.requests.clear()
            again = threading.Timer(1, server.start)
            again.start()
            found += [batch["sample"].to_pylist() for batch in stream]
            again.join()
            assert found == expected
            ranges = [request.path + str(request.range) for request in proxy.requests]
            assert len(set(ranges)) > 10
            assert len(ranges) > len(set(ranges))  # those that met no server came again
            monkeypatch.delenv("MIXTERA_S3_CACHE_MB")
            _read_stripes_over_a_restart(server, proxy, objects_of(server), tmp_path, monkeypatch)
    finally:
        server.kill()
