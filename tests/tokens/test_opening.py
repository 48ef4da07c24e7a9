"""What a spec's value means, what a tokenizer's files say of special tokens, and what is said where they do not."""

from __future__ import annotations

import inspect
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from tokenizers import Tokenizer as Library
from tokenizers import processors

from mixtera.errors import TokenizerError
from mixtera.tokens.tokenizers import open_tokenizer, special_id
from mixtera.tokens.tokenizers.ranks import ENCODINGS
from tests.tokens.conftest import END


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No network and an empty cache, as on a machine that has neither."""
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path / "no-cache"))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")


def refused(value: object, directory: Path, **special: object) -> str:
    with pytest.raises(TokenizerError) as caught:
        open_tokenizer(value, directory, **special)  # type: ignore[arg-type]
    return str(caught.value)


def test_a_file_a_directory_and_a_prefix_are_one_tokenizer(directory: Path) -> None:
    names = ["small.json", "model", "model/tokenizer.json", "huggingface:small.json", str(directory / "small.json")]
    opened = [open_tokenizer(name, directory) for name in names]
    assert [one.name for one in opened] == names
    assert len({one.fingerprint for one in opened}) == 1
    assert opened[0].fingerprint.startswith("sha256:")
    assert {one.vocab_size for one in opened} == {2000}


def test_the_fingerprint_is_of_the_content(directory: Path, tmp_path: Path) -> None:
    original = open_tokenizer("small.json", directory).fingerprint
    content = json.loads((directory / "small.json").read_text())
    reordered = dict(reversed(content.items())) | {
        "truncation": {"max_length": 3, "strategy": "LongestFirst", "stride": 0, "direction": "Right"},
        "padding": {
            "strategy": {"Fixed": 9}, "direction": "Right", "pad_to_multiple_of": None, "pad_id": 0, "pad_type_id": 0,
            "pad_token": END,
        },
    }  # fmt: skip
    (tmp_path / "same.json").write_text(json.dumps(reordered, indent=3))
    same = open_tokenizer("same.json", tmp_path)
    assert same.fingerprint == original
    assert same.count(pa.array(["many words of a text that is long", "x"])).tolist() == (
        open_tokenizer("small.json", directory).count(pa.array(["many words of a text that is long", "x"])).tolist()
    )
    content["model"]["merges"].pop()
    (tmp_path / "other.json").write_text(json.dumps(content))
    assert open_tokenizer("other.json", tmp_path).fingerprint != original
    assert open_tokenizer("bytes", tmp_path).fingerprint == open_tokenizer("bytes", directory).fingerprint


def test_ranks_are_found_by_name_or_told(directory: Path, tmp_path: Path) -> None:
    shutil.copy(directory / "r50k_base.tiktoken", tmp_path / "ours.tiktoken")
    named = open_tokenizer("r50k_base.tiktoken", directory)
    told = open_tokenizer("tiktoken:r50k_base:ours.tiktoken", tmp_path)
    other = open_tokenizer("tiktoken:cl100k_base:ours.tiktoken", tmp_path)
    assert named.fingerprint == told.fingerprint != other.fingerprint
    assert named.vocab_size == 2000
    assert named.eos == 1999
    assert "not named like an encoding (gpt2, r50k_base," in refused("ours.tiktoken", tmp_path)
    assert "tiktoken:cl100k_base:ours.tiktoken" in refused("ours.tiktoken", tmp_path)
    assert "did you mean 'cl100k_base'?" in refused("tiktoken:cl10k_base:ours.tiktoken", tmp_path)


def test_the_patterns_and_special_tokens_are_those_of_tiktoken() -> None:
    import tiktoken_ext.openai_public as public

    for name in ("gpt2", "r50k_base", "p50k_base"):
        assert ENCODINGS[name].pattern == public.r50k_pat_str
    cl100k, o200k = (inspect.getsource(part) for part in (public.cl100k_base, public.o200k_base))
    assert f'r"""{ENCODINGS["cl100k_base"].pattern}"""' in cl100k
    parts = [line.strip()[4:-4] for line in o200k.splitlines() if line.strip().startswith('r"""')]
    assert "|".join(parts) == ENCODINGS["o200k_base"].pattern
    for name, splitting in ENCODINGS.items():
        source = inspect.getsource(getattr(public, name))
        assert all(f": {number}" in source for number in splitting.special.values())


def write(
    directory: Path, trained: Library, config: object = None, special_map: object = None, **changes: object
) -> Path:
    """A tokenizer's directory with other files and other parts of its tokenizer.json."""
    content = json.loads(trained.to_str()) | changes
    (directory / "tokenizer.json").write_text(json.dumps(content))
    for name, settings in (("tokenizer_config.json", config), ("special_tokens_map.json", special_map)):
        if settings is not None:
            (directory / name).write_text(json.dumps(settings))
    return directory


def test_settings_come_before_the_map_the_processor_and_usual_names(trained: Library, tmp_path: Path) -> None:
    template = json.loads(
        processors.TemplateProcessing(
            single="D $A E", special_tokens=[("D", trained.token_to_id("D")), ("E", trained.token_to_id("E"))]
        ).__getstate__()
    )
    identifiers = [trained.token_to_id(text) for text in "ABCDE"]
    write(tmp_path, trained, post_processor=template)
    opened = open_tokenizer(".", tmp_path)
    assert (opened.bos, opened.eos, opened.pad) == (identifiers[3], identifiers[4], None)
    write(tmp_path, trained, None, {"eos_token": {"content": "B"}, "pad_token": "C"}, post_processor=template)
    opened = open_tokenizer(".", tmp_path)
    assert (opened.bos, opened.eos, opened.pad) == (identifiers[3], identifiers[1], identifiers[2])
    write(tmp_path, trained, {"eos_token": "A", "bos_token": None}, post_processor=template)
    opened = open_tokenizer(".", tmp_path)
    assert (opened.bos, opened.eos, opened.pad) == (identifiers[3], identifiers[0], identifiers[2])


def test_a_processor_adds_no_tokens_to_texts(trained: Library, tmp_path: Path) -> None:
    sequence = {"type": "Sequence", "processors": [
        {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": False, "use_regex": True},
        {"type": "RobertaProcessing", "sep": ["Z", trained.token_to_id("Z")], "cls": ["Y", trained.token_to_id("Y")],
         "trim_offsets": True, "add_prefix_space": False},
    ]}  # fmt: skip
    opened = open_tokenizer(".", write(tmp_path, trained, post_processor=sequence))
    assert (opened.bos, opened.eos) == (trained.token_to_id("Y"), trained.token_to_id("Z"))
    ids = opened.encode(pa.array(["hello world"])).tokens.tolist()
    assert ids == trained.encode("hello world", add_special_tokens=False).ids


def test_usual_names_are_found(directory: Path) -> None:
    opened = open_tokenizer("small.json", directory)
    assert (opened.eos, opened.bos, opened.pad) == (0, None, None)
    assert open_tokenizer("model", directory).bos == opened.encode(pa.array(["A"])).tokens[0]


def test_a_special_token_can_be_given(directory: Path) -> None:
    opened = open_tokenizer("small.json", directory, eos=7, bos=END, pad="A")
    assert (opened.eos, opened.bos) == (7, 0)
    assert opened.decode([opened.pad]) == "A"
    assert open_tokenizer("bytes", directory, pad="<bos>", eos=0).pad == 257
    assert open_tokenizer("r50k_base.tiktoken", directory, bos=END).bos == 1999


@pytest.mark.parametrize("value", ["bytes", "small.json", "r50k_base.tiktoken"])
def test_a_special_token_that_is_none_is_refused(value: str, directory: Path) -> None:
    assert "did you mean" in refused(value, directory, eos="<|endoftex|>" if value != "bytes" else "<eoss>")
    assert "which is none of its tokens" in refused(value, directory, bos="surely no token")
    assert "its ids go from 0 to" in refused(value, directory, pad=10**6)
    assert "its ids go from 0 to" in refused(value, directory, pad=-1)
    assert "write the text of a token, or its id" in refused(value, directory, eos=True)


def test_asking_for_a_token_that_is_unknown_says_what_to_write(directory: Path) -> None:
    opened = open_tokenizer("small.json", directory)
    assert special_id(opened, "eos") == 0
    with pytest.raises(TokenizerError, match=r"'small.json' has no bos token.*write `bos:`"):
        special_id(opened, "bos")


def test_a_token_that_is_declared_and_absent_is_none(trained: Library, tmp_path: Path) -> None:
    opened = open_tokenizer(".", write(tmp_path, trained, {"eos_token": "<|im_end|>"}))
    assert opened.eos is None
    assert open_tokenizer(".", tmp_path, eos=END).eos == 0


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("", "tokenizer is ''; write `bytes`"),
        (None, "tokenizer is None"),
        ("smal.json", "did you mean 'small.json'?"),
        ("nowhere/small.json", "there is no"),
        ("empty", "has no tokenizer.json"),
        ("text.json", "is no JSON"),
        ("list.json", "it has no `model`"),
        ("model.json", "cannot be opened"),
        ("spiece.model", "SentencePiece"),
        ("bytes:x", "write `bytes` alone"),
        ("byte:x", "did you mean 'bytes'?"),
        ("tiktokn:cl100k_base", "did you mean 'tiktoken'?"),
        ("tiktoken:cl100k_bse", "did you mean 'cl100k_base'?"),
        ("tiktoken:", "has no encoding ''"),
        ("huggingface:", "write huggingface:PATH"),
        ("cl100k_base.tiktoken", "there is no"),
        ("gpt2.tiktoken", "gpt2.tiktoken:2 is not a token in base64"),
        ("p50k_base.tiktoken", "lacks 255 of the 256 single bytes"),
        ("o200k_base.tiktoken", "a token or a rank twice"),
    ],
)
def test_what_is_no_tokenizer_is_named(value: object, said: str, tmp_path: Path, directory: Path) -> None:
    shutil.copy(directory / "small.json", tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.json").write_text("no json")
    (tmp_path / "list.json").write_text("[1]")
    (tmp_path / "model.json").write_text('{"model": {"type": "Nothing"}}')
    (tmp_path / "spiece.model").write_bytes(b"\x0a\x0e")
    (tmp_path / "gpt2.tiktoken").write_bytes(b"QQ== 0\n!! 1\n")
    (tmp_path / "p50k_base.tiktoken").write_bytes(b"QQ== 0\n")
    (tmp_path / "o200k_base.tiktoken").write_bytes(b"QQ== 0\nQg== 0\n")
    assert said in refused(value, tmp_path)


def test_ids_by_chance_are_refused(trained: Library, tmp_path: Path) -> None:
    model = json.loads(trained.to_str())["model"] | {"dropout": 0.1}
    write(tmp_path, trained, model=model)
    assert "has a dropout of 0.1" in refused(".", tmp_path)


def test_settings_that_are_broken_are_named(trained: Library, tmp_path: Path) -> None:
    write(tmp_path, trained)
    (tmp_path / "tokenizer_config.json").write_text("{")
    assert "tokenizer_config.json cannot be read" in refused(".", tmp_path)
    (tmp_path / "tokenizer_config.json").write_text("[]")
    assert "tokenizer_config.json is no JSON object" in refused(".", tmp_path)


def test_without_a_network_a_name_says_where_to_look(tmp_path: Path) -> None:
    said = refused("tiktoken:cl100k_base", tmp_path)
    assert "TIKTOKEN_CACHE_DIR" in said
    assert "cl100k_base.tiktoken" in said


ASK = """
import sys
from pathlib import Path
from mixtera.errors import TokenizerError
from mixtera.tokens.tokenizers import open_tokenizer
try:
    opened = open_tokenizer(sys.argv[1], Path("."))
    print(opened.eos, opened.vocab_size)
except TokenizerError as error:
    print(error)
"""


def ask(value: str, cache: Path, **environment: str) -> str:
    """What a process says that has this cache of the hub, and no network."""
    settings = {"HF_HOME": str(cache), "HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"} | environment
    done = subprocess.run(
        [sys.executable, "-c", ASK, value],
        cwd=cache.parent,
        env=os.environ | settings,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.strip()


def test_a_name_is_found_in_the_cache_of_the_hub(directory: Path, tmp_path: Path) -> None:
    repository = tmp_path / "cache" / "hub" / "models--ours--small"
    snapshot = repository / "snapshots" / ("a" * 40)
    shutil.copytree(directory / "model", snapshot)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("a" * 40)
    assert ask("ours/small", tmp_path / "cache") == "0 2000"
    assert ask(f"ours/small@{'a' * 40}", tmp_path / "cache") == "0 2000"
    assert "nothing of that name in the local cache" in ask("ours/smal", tmp_path / "cache")


@pytest.mark.parametrize("offline", ["1", "0"])
def test_a_name_that_is_nowhere_is_an_error_at_once(offline: str, tmp_path: Path) -> None:
    said = ask("nobody/nothing", tmp_path / "cache", HF_HUB_OFFLINE=offline)
    assert "nothing of that name in the local cache of the hub, and none could be fetched (the hub:" in said
    assert "did you mean 'tiktoken:cl100k_base'?" in ask("cl100k_base", tmp_path / "cache", HF_HUB_OFFLINE=offline)


@pytest.mark.parametrize(
    ("value", "package", "extra"),
    [("small.json", "tokenizers", "tokenizers"), ("tiktoken:gpt2", "tiktoken", "tiktoken")],
)
def test_a_package_that_is_missing_is_named(value: str, package: str, extra: str, directory: Path) -> None:
    program = f"import sys\nsys.modules[{package!r}] = None\n{ASK}"
    done = subprocess.run(
        [sys.executable, "-c", program, value], cwd=directory, capture_output=True, text=True, timeout=600, check=True
    )
    assert done.stdout.strip() == f"tokenizer {value!r} needs the package {package}: pip install 'mixtera[{extra}]'"


def test_reading_tokens_loads_no_framework() -> None:
    program = "import sys\nimport mixtera.tokens.tokenizers\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=600)
    assert not set(done.stdout.split()) & {"torch", "jax", "transformers", "tokenizers", "tiktoken", "pandas", "duckdb"}
