"""From tars of real images to batches: init, index, explain, compile, stream, PyTorch and JAX, resume, bad samples."""

from __future__ import annotations

import base64
import gzip
import json
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest
import zstandard

import mixtera
from mixtera.cli.main import main
from mixtera.formats.sniff import look_at
from mixtera.spec import load
from tests.formats.webdataset.tars import png, png_size, tar_bytes

PER_TAR = 100
SPEC = """version: 1
name: pictures
sources:
  pictures:
    path: data/*{suffix}
    content: {{image: "jpg;png", caption: txt, title: json.title}}
    properties: {{width: json.width, license: json.license, kind: cls}}
mixture:
  components:
    - {{name: wide, where: width >= 12, weight: 60}}
    - {{name: narrow, where: width < 12 and license == "cc", weight: 40, on_exhaust: repeat, max_epochs: 3}}
order: {{seed: 3, chunk_size: 64, lanes: 4, granule: 8}}
"""


def size_of(number: int) -> tuple[int, int]:
    return 4 + number % 17, 3 + number % 11


def picture(number: int) -> list[tuple[str, bytes]]:
    width, height = size_of(number)
    about = {"width": width, "height": height, "license": ("cc", "mit")[number % 2], "title": f"title {number}"}
    return [
        (f"p/{number:05d}.png", png(width, height, number)),
        (f"p/{number:05d}.json", json.dumps(about, indent=2).encode()),
        (f"p/{number:05d}.txt", f"piçture {number}\n".encode()),
        (f"p/{number:05d}.cls", b"%d" % (number % 3)),
    ]


PACKERS = {
    ".tar": bytes,
    ".tar.gz": gzip.compress,
    ".tgz": gzip.compress,
    ".tar.zst": zstandard.ZstdCompressor().compress,
}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MIXTERA_CATALOG", raising=False)
    (tmp_path / "data").mkdir()
    return tmp_path


def write(here: Path, suffix: str = ".tar", tars: int = 3) -> None:
    for tar in range(tars):
        members = [member for number in range(tar * PER_TAR, (tar + 1) * PER_TAR) for member in picture(number)]
        (here / "data" / f"{tar}{suffix}").write_bytes(PACKERS[suffix](tar_bytes(members)))
    (here / "spec.yaml").write_text(SPEC.format(suffix=suffix))


def compiled() -> mixtera.Plan:
    assert main(["index", "spec.yaml", "--quiet"]) == 0
    assert main(["compile", "spec.yaml", "-o", "plan", "--quiet"]) == 0
    return mixtera.Plan.open("plan")


def numbers_of(plan: mixtera.Plan) -> list[int]:
    """The number of the picture at each position, from where the plan says it lies."""
    samples = plan.samples(0, len(plan)).to_pylist()
    return [int(sample["file"][0]) * PER_TAR + sample["row"] for sample in samples]


@pytest.mark.parametrize("suffix", list(PACKERS))
def test_every_sample_is_the_picture_that_the_plan_says(suffix: str, here: Path) -> None:
    write(here, suffix)
    plan = compiled()
    expected = numbers_of(plan)
    assert len(expected) > 100
    batches = list(plan.stream(8))
    delivered = pa.Table.from_batches(batches).to_pylist()
    assert pa.types.is_binary(batches[0].schema.field("image").type)
    for sample, number in zip(delivered, expected, strict=False):
        width, _ = size_of(number)
        assert png_size(sample["image"]) == size_of(number)
        assert sample["image"] == picture(number)[0][1]
        assert (sample["caption"], sample["title"]) == (f"piçture {number}\n", f"title {number}")
        assert sample["component"] == ("wide" if width >= 12 else "narrow")
    with plan.stream(8) as stream:
        for _ in range(5):
            next(stream)
        state = json.loads(json.dumps(stream.state_dict()))
    ranks = [plan.stream(4, rank, 2) for rank in range(2)]
    for rank in ranks:
        rank.load_state_dict(state)
    both = [row for pair in zip(*ranks, strict=True) for batch in pair for row in batch["image"].to_pylist()]
    assert both == [sample["image"] for sample in delivered[40:]]


def test_what_the_commands_show(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(here)
    expected = numbers_of(compiled())
    capsys.readouterr()
    assert main(["explain", "spec.yaml"]) == 0
    told = capsys.readouterr().out
    assert "webdataset" in told
    assert "every record is read alone" in told
    assert main(["stream", "plan", "--limit", "20"]) == 0
    for line, number in zip(capsys.readouterr().out.splitlines(), expected, strict=False):
        assert line.endswith(f"<{len(picture(number)[0][1]):,} bytes>")
    assert main(["stream", "plan", "--limit", "20", "--format", "jsonl"]) == 0
    for line, number in zip(capsys.readouterr().out.splitlines(), expected, strict=False):
        assert base64.b64decode(json.loads(line)["image"]) == picture(number)[0][1]


def test_a_first_spec_that_works(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(here)
    assert main(["init", "data", "-o", "first.yaml"]) == 0
    (source,) = load("first.yaml").sources
    assert (source.format, {field.name: field.path for field in source.content}) == (
        "webdataset",
        {"png": "png", "txt": "txt"},
    )
    assert {found.name: (found.path, found.type) for found in source.properties} == {
        "width": ("json.width", "int64"),
        "height": ("json.height", "int64"),
        "license": ("json.license", "string"),
        "title": ("json.title", "string"),
        "cls": ("cls", "int64"),
    }
    assert main(["index", "first.yaml"]) == 0
    assert "300" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("members", "content"),
    [
        ([("a.jpg", b"1"), ("b.png", b"2")], {"image": "jpg;png"}),
        ([("a.seg.png", b"1"), ("a.cls", b"1")], {"seg_png": '"seg.png"'}),
        ([("a.json", b'{"caption": "a long text", "n": 1}')], {"text": "json.caption"}),
        ([("a.sample", b"1")], {"sample_": "sample"}),
    ],
)
def test_the_content_that_init_finds(members, content, here: Path) -> None:
    (here / "data" / "a.tar").write_bytes(tar_bytes(members))
    assert main(["init", "data", "-o", "first.yaml"]) == 0
    assert {field.name: field.path for field in load("first.yaml").sources[0].content} == content
    assert main(["index", "first.yaml", "--quiet"]) == 0


@pytest.mark.parametrize("members", [[], [("a.json", b"3")], [("README", b"text")]])
def test_tars_in_which_init_finds_nothing(members, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "data" / "a.tar").write_bytes(tar_bytes(members))
    assert main(["init", "data"]) == 1
    assert "no field holds text" in capsys.readouterr().err


@pytest.mark.parametrize("workers", [0, 2])
def test_the_pytorch_loader_delivers_bytes(workers: int, here: Path) -> None:
    from mixtera.adapters.torch import loader

    write(here)
    plan = compiled()
    delivered = [image for batch in loader(plan, 8, num_workers=workers) for image in batch["image"]]
    assert all(type(image) is bytes for image in delivered)
    assert delivered == [picture(number)[0][1] for number in numbers_of(plan)][: len(plan) // 8 * 8]


def test_the_jax_loader_leaves_bytes_on_the_host(here: Path) -> None:
    """In a process of its own: one that has used JAX must not be forked."""
    write(here)
    expected = numbers_of(compiled())
    code = """if True:
        import json, numpy
        from mixtera.adapters.jax import MixteraLoader
        batch = next(iter(MixteraLoader("plan", 8)))
        assert isinstance(batch["image"], numpy.ndarray) and batch["image"].dtype == object
        print(json.dumps([image.hex() for image in batch["image"]]))
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=600)
    assert [bytes.fromhex(text) for text in json.loads(done.stdout)] == [picture(n)[0][1] for n in expected[:8]]


@pytest.mark.parametrize(
    ("policy", "code"), [("fail", 1), ("skip", 0), ("{policy: skip, limit: {count: 1}}", 1), ("quarantine", 0)]
)
def test_bad_samples_by_policy(policy: str, code: int, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    members = [member for number in range(30) for member in picture(number) if member[0] != "p/00007.png"]
    members = [(name, b"\xff" if name == "p/00009.txt" else data) for name, data in members]
    (here / "data" / "0.tar").write_bytes(tar_bytes(members))
    (here / "spec.yaml").write_text(
        SPEC.format(suffix=".tar").replace("    content:", f"    on_bad_sample: {policy}\n    content:")
    )
    assert main(["index", "spec.yaml", "--quiet"]) == code
    told = capsys.readouterr().err
    if policy == "fail":
        assert "0.tar:8: sample 'p/00007' has no member 'jpg' or 'png', it has cls, json, txt" in told
        assert "0.tar:10: member 'p/00009.txt' is not valid UTF-8" in told
    if policy == "quarantine":
        assert main(["catalog", "show", "pictures", "--quarantine"]) == 0
        assert "p/00007" in capsys.readouterr().out
    if not code:
        assert main(["compile", "spec.yaml", "-o", "plan", "--quiet"]) == 0
        assert {7, 9}.isdisjoint(numbers_of(mixtera.Plan.open("plan")))


@pytest.mark.parametrize(
    ("name", "data", "said", "unsaid"),
    [
        (
            "a.tar",
            b'{"text": "x"}\n' * 50,
            "this is no tar; its content looks like JSON lines: write `format: jsonl`",
            "",
        ),
        ("a.jsonl", tar_bytes(picture(1)), "looks like a tar archive: write `format: webdataset` for the source", ""),
        ("a.jsonl", gzip.compress(tar_bytes(picture(1))), "a tar archive, compressed with gzip as a whole: write", ""),
        ("a.tar.gz", gzip.compress(tar_bytes(picture(1))[:2000]), "the tar is cut short", "decompress it"),
        ("a.tar", tar_bytes(picture(1))[:2000], "the tar is cut short", "looks like"),
    ],
)
def test_when_a_file_is_not_what_its_suffix_says(
    name: str, data: bytes, said: str, unsaid: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "data" / name).write_bytes(data)
    (here / "spec.yaml").write_text(
        f"version: 1\nname: s\nsources: {{web: {{path: data/{name}, content: text}}}}\nmixture: {{by: dataset}}\n"
    )
    assert main(["index", "spec.yaml", "--quiet"]) == 1
    told = " ".join(capsys.readouterr().err.split())
    assert said in told
    assert not unsaid or unsaid not in told
    assert "Traceback" not in told


def test_a_tar_is_recognised_by_its_content() -> None:
    old = bytearray(tar_bytes([("a.jpg", b"1")]))
    old[257:265] = bytes(8)
    old[148:156] = b"%06o\0 " % (sum(old[:148]) + 8 * 32 + sum(old[156:512]))
    for data in (tar_bytes([("a.jpg", b"1")]), bytes(old)):
        look = look_at(data[:4096])
        assert look is not None
        assert (look.format, look.certain) == ("webdataset", True)
    assert look_at(b"\0" * 4096) is None
