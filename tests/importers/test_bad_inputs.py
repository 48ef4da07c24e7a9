"""Inputs that make no spec: each problem with its place, what is allowed, and nothing of a secret."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mixtera.cli.main import main
from mixtera.errors import SpecError
from mixtera.importers import Installed, read, read_blend
from mixtera.spec import load

INSTALLED = Installed(("jsonl", "parquet"), ("file",))
HEAD = "__module__: megatron.energon\n__class__: MetadatasetV2\nsplits:\n  train:\n"
OLMO = "sources:\n  - {source_name: a, target_ratio: %s, paths: [a.npy]}\n"
CARD = "---\nconfigs:\n- config_name: en\n  data_files:\n  - {split: train, path: %s}\n---\n"


def wrong(path: Path, text: str, kind: str | None = None, **options: str) -> str:
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SpecError) as caught:
        read(path, kind, installed=INSTALLED, **options)  # type: ignore[arg-type]
    return str(caught.value).replace(f"{path.parent}/", "")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("    path: [a\n", "x.yaml:6:1: not YAML: did not find expected ',' or ']'"),
        ("    blend: []\n", "x.yaml:5:5: blend: expected a list of datasets, found an empty list"),
        ("    blend: {weight: 1}\n", "x.yaml:5:5: blend: expected a list of datasets, found a mapping"),
        ("    blend:\n    - {weight: -1, path: a.jsonl}\n", "x.yaml:6:16: weight: expected a number of 0 or more"),
        ("    blend:\n    - {weight: .inf, path: a.jsonl}\n", "x.yaml:6:16: weight: expected a number"),
        ("    blend:\n    - {weight: 1e999, path: a.jsonl}\n", "x.yaml:6:16: weight: the number 1e999 is too large"),
        ("    blend:\n    - {weight: 0, path: a.jsonl}\n", "x.yaml:6:5: the weights of these datasets sum to zero"),
        ("    blend:\n    - {weight: {step: {0: -3}}, path: a.jsonl}\n", "x.yaml:6:16: weight: expected a number of"),
        ("    blend:\n    - {weight: {step: fast}, path: a.jsonl}\n", "x.yaml:6:16: expected a weight such as 5"),
        (
            "    blend_epochized:\n    - {repetitions: 0, path: a.jsonl}\n",
            "x.yaml:6:21: repetitions: expected a number gr",
        ),
        ("    blend:\n    - weight: 1\n", "x.yaml:6:7: expected one of path, blend, blend_epochized or join"),
        ("    path: a\n    blend: [{path: b}]\n", "x.yaml:5:5: expected one of path, blend, blend_epochized or join"),
        ("    blend:\n    - blend_epochized: [{path: a.jsonl}]\n", "blend and blend_epochized cannot be mixed"),
        ("    path: x.yaml\n", "x.yaml:5:11: the metadataset 'x.yaml' names itself"),
        ("    path: gone.yaml\n", "x.yaml:5:11: no such file"),
        ("    path: s3://corpora/metadataset.yaml\n", "x.yaml:5:11: import reads files of this machine only"),
        ("    path: $DATA/coco\n", "x.yaml:5:11: variables such as $DATA are not expanded"),
        ("    path: ~/coco\n", "x.yaml:5:11: ~ is not expanded"),
        ("    join: []\n", "x.yaml:5:5: join: expected a list of datasets"),
        ("    - a\n", "x.yaml:4:3: split 'train' is a list; splits: none"),
        ("    path:\n", "x.yaml:5:5: 'path' has no value; give one or remove the key"),
        ("    blend: [{weight: , path: a.jsonl}]\n", "x.yaml:5:14: 'weight' has no value"),
        ("    path: 7\n", "x.yaml:5:11: path: expected a text, found the number 7"),
        ("    path: !!python/name:os.system a\n", "x.yaml:5:11: the tag"),
        ("    path: a\n    path: b\n", "x.yaml:6:5: duplicate key 'path'; the first is in line 5"),
    ],
)
def test_metadatasets(tmp_path: Path, text: str, message: str) -> None:
    assert message in wrong(tmp_path / "x.yaml", HEAD + text, "energon")


def test_a_split_that_is_not_there(tmp_path: Path) -> None:
    message = wrong(tmp_path / "x.yaml", f"{HEAD}    path: a.jsonl\n", split="test")
    assert message == "x.yaml:4:3: there is no split 'test'; splits: train; choose with `--split`"


def test_metadatasets_that_name_each_other(tmp_path: Path) -> None:
    (tmp_path / "y.yaml").write_text(f"{HEAD}    blend: [{{path: z.yaml}}]\n")
    (tmp_path / "z.yaml").write_text(f"{HEAD}    blend: [{{path: ./x.yaml}}]\n")
    message = wrong(tmp_path / "x.yaml", f"{HEAD}    path: y.yaml\n")
    assert message == "z.yaml:5:20: the metadataset './x.yaml' names itself; remove one of the references"


def test_metadatasets_nested_too_deep(tmp_path: Path) -> None:
    for number in range(30):
        (tmp_path / f"m{number}.yaml").write_text(f"{HEAD}    blend: [{{path: m{number + 1}.yaml}}]\n")
    (tmp_path / "m30.yaml").write_text(f"{HEAD}    path: a.jsonl\n")
    message = wrong(tmp_path / "x.yaml", f"{HEAD}    path: m0.yaml\n")
    assert message == "m20.yaml:5:12: blends nested more than 20 deep: a spec can hold no more"
    result = read(tmp_path / "m10.yaml", installed=INSTALLED)
    assert result.spec_text.count("- name:") == 20
    (tmp_path / "spec.yaml").write_text(result.spec_text)
    assert load(tmp_path / "spec.yaml").sources


def test_a_long_chain_of_metadatasets(tmp_path: Path) -> None:
    for number in range(500):
        (tmp_path / f"m{number}.yaml").write_text(f"{HEAD}    path: m{number + 1}.yaml\n")
    message = wrong(tmp_path / "x.yaml", f"{HEAD}    path: m0.yaml\n")
    assert message.startswith("m39.yaml:5:11: the metadataset 'm40.yaml' is one of more than 40 that name each other")


def test_metadatasets_that_multiply(tmp_path: Path) -> None:
    for number in range(16):
        twice = ", ".join(f"{{path: m{number + 1}.yaml}}" for _ in range(2))
        (tmp_path / f"m{number}.yaml").write_text(f"{HEAD}    blend: [{twice}]\n")
    (tmp_path / "m16.yaml").write_text(f"{HEAD}    path: a.jsonl\n")
    assert "more than 10,000 datasets" in wrong(tmp_path / "x.yaml", f"{HEAD}    path: m0.yaml\n")


def test_a_prepared_dataset_that_is_wrong(tmp_path: Path) -> None:
    meta = tmp_path / "coco" / ".nv-meta"
    meta.mkdir(parents=True)
    spec = f"{HEAD}    path: coco\n"
    (meta / "split.yaml").write_text("split_parts: {val: [a.tar]}\n")
    assert "has no part 'train'; it has val" in wrong(tmp_path / "x.yaml", spec)
    (meta / "split.yaml").write_text("split_parts: {train: ['a-{0..999999999}.tar']}\n")
    assert "split.yaml:1:23: braces make more than 20,000 file names" in wrong(tmp_path / "x.yaml", spec)
    (meta / "split.yaml").write_text("split_parts: {train: [" + "'a-{0..99}-{0..99}-{0..99}.tar']}\n")
    assert "braces make more than 20,000 file names" in wrong(tmp_path / "x.yaml", spec)
    (meta / "split.yaml").write_text("split_parts: {train: [")
    assert "split.yaml:1:23: not YAML" in wrong(tmp_path / "x.yaml", spec)
    (meta / "split.yaml").write_text("- a\n")
    assert "split.yaml:1:1: expected a mapping" in wrong(tmp_path / "x.yaml", spec)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("30 a 70", "x.txt:1:1: 30 looks like a weight, but 3 words are no pairs of weight and prefix"),
        (
            "a b",
            "x.txt:1:1: 'a' is no weight: a blend is `weight prefix weight prefix …`, or an odd number of prefixes",
        ),
        ("1 a\nnan b", "x.txt:2:1: 'nan' is no weight"),
        ("1 a\n-2 b", "x.txt:2:1: weight: expected a number of 0 or more, found -2"),
        ("0 a 0.0 b", "x.txt:1:1: the weights sum to zero"),
        ("1e999 a", "x.txt:1:1: weight: 1e999 is too large"),
        ("1 a 2 ${HOME}/b", "x.txt:1:7: variables such as ${HOME} are not expanded"),
        ("", "x.txt:1:1: the file is empty"),
        ("--data-path \\\n", "x.txt:1:1: no words: a blend is `weight prefix weight prefix …`"),
        ('{"train": ["1", "a", "2"', "x.txt:1:25: not JSON: expected ',', found the end of the file"),
        ('{"train": {"a": 1}}', "x.txt:1:11: expected weight, prefix, weight, prefix …, found a mapping"),
        ('{"train": " "}', "x.txt:1:11: expected weight, prefix, weight, prefix …, found the text ''"),
        ('{"train": ["1", null]}', "x.txt:1:17: expected a weight or a prefix, found nothing"),
        ('{"valid": ["1", "a"]}', "x.txt:1:1: there is no split 'train'; splits: valid"),
        ('{"train": ["1", "a"], "train": []}', "x.txt:1:23: duplicate key 'train'; the first is in line 1"),
        ('{"train": ["1", "a"],}', "x.txt:1:22: not JSON: a comma before the end"),
        ('["1", "a"] tail', "x.txt:1:12: not JSON: something stands after the end"),
        ('["1", "\\ud800"]', "x.txt:1:7: not JSON: a text holds the character U+D800"),
        ('["1", "a\\u0000"]', "x.txt:1:7: not JSON: a text holds the character U+0000"),
        ('["1", "a\nb"]', "x.txt:1:7: not JSON: a text that does not end"),
        ('["1", 0x10]', "x.txt:1:8: not JSON: expected ',', found 'x'"),
        ("[" * 60, "not JSON: nested more than 50 levels deep"),
        ("[" + "1," * 100_001 + "1]", "not JSON: over 100,000 values"),
    ],
)
def test_blends(tmp_path: Path, text: str, message: str) -> None:
    assert message in wrong(tmp_path / "x.txt", text, "megatron")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (OLMO % "-0.5", "x.yaml:2:36: target_ratio: expected a number of 0 or more"),
        (OLMO % "0", "x.yaml:1:1: the target ratios sum to zero"),
        (OLMO % "many", "x.yaml:2:36: target_ratio: expected a number, found the text 'many'"),
        (
            (OLMO % "1") + "  - {source_name: a, target_ratio: 1, paths: [b.npy]}\n",
            "x.yaml:3:19: two sources are named 'a'",
        ),
        ("sources:\n  - {source_name: a, target_ratio: 1, paths: []}\n", "x.yaml:2:39: paths: the list is empty"),
        ("sources:\n  - {source_name: a}\n", "x.yaml:2:5: a source needs the key 'target_ratio'"),
        (
            "sources:\n  - {source_name: a, target_ratio: 1, paths: [a.npy, b.jsonl]}\n",
            "several formats (tokens, jsonl)",
        ),
        ("sources:\n  - {source_name: , target_ratio: 1, paths: [a.npy]}\n", "x.yaml:2:6: 'source_name' has no value"),
        ("sources: []\n", "x.yaml:1:1: the list of sources is empty"),
        ("sources:\n  - web\n", "x.yaml:2:5: expected a source with source_name and paths, found the text 'web'"),
        ("name: none\n", "x.yaml:1:1: an OLMo-core mixture has `sources:"),
        (
            "sources:\n  - {source_name: a, target_ratio: 1, paths: [a.npy], max_repetition_ratio: 0.5}\n",
            "max_repetition_ratio: expected 1 or more, found 0.5",
        ),
        (
            "sources:\n  - {source_name: a, target_ratio: 1, paths: [a.npy], max_source_fraction: 1.5}\n",
            "expected a share up to 1, found 1.5",
        ),
    ],
)
def test_source_mixtures(tmp_path: Path, text: str, message: str) -> None:
    assert message in wrong(tmp_path / "x.yaml", text, "olmo-core")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("---\nlicense: mit\n---\n", "x.md:2:1: the card has no `configs` with `data_files`"),
        ("---\nconfigs:\n- default\n---\n", "x.md:3:3: expected a configuration with config_name"),
        ("---\nconfigs:\n- {data_files: a.csv}\n---\n", "x.md:3:3: a configuration needs the key 'config_name'"),
        (
            "---\nconfigs:\n- {config_name: a, data_files: [{split: train}]}\n---\n",
            "an entry needs the keys 'split' and",
        ),
        ("---\nconfigs: [\n---\n", "x.md:3:1: not YAML"),
        (CARD.replace("train", "test") % "a.jsonl", "x.md:2:1: there is no split 'train'; splits: test"),
        (CARD % "[a.jsonl, b.parquet]", "en: the files have several formats (jsonl, parquet)"),
        (
            CARD.replace("---\n", "", 1).replace("---\n", "- {config_name: en, data_files: b.jsonl}\n") % "a.jsonl",
            "two config",
        ),
        ("---\nconfigs: []\ndataset_info: 3\n---\n", "dataset_info: expected a mapping, found the number 3"),
    ],
)
def test_cards(tmp_path: Path, text: str, message: str) -> None:
    assert message in wrong(tmp_path / "x.md", text, "hf-card")


def test_a_configuration_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text(CARD % "a.jsonl")
    with pytest.raises(SpecError, match="there is no configuration 'fr'; configurations: en"):
        read(tmp_path / "README.md", configs=["fr"])


def croissant(**changes: object) -> str:
    field = {"@id": "r/t", "dataType": "sc:Text", "source": {"fileSet": {"@id": "f"}, "extract": {"column": "t"}}}
    metadata: dict[str, object] = {
        "@type": "sc:Dataset",
        "distribution": [{"@type": "cr:FileSet", "@id": "f", "includes": "*.jsonl"}],
        "recordSet": [{"@id": "r", "field": [field]}],
    }
    return json.dumps({**metadata, **changes})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"recordSet": []}, "the metadata have no `recordSet`"),
        ({"recordSet": [3]}, "expected a record set, found the number 3"),
        ({"distribution": []}, "nothing in the distribution is named 'f'; there is none"),
        ({"distribution": ["x"]}, "expected a FileObject or a FileSet with an @id"),
        ({"distribution": [{"@id": "f"}, {"@id": "f"}]}, "two files of the distribution are named 'f'"),
        ({"distribution": [{"@id": "f", "includes": "*.jpg"}]}, "no record set reads files that could be a source"),
        ({"distribution": [{"@id": "f", "encodingFormat": "text/csv"}]}, "f has neither `includes` nor `contentUrl`"),
        ({"recordSet": [{"@id": "r", "field": ["t"]}]}, "expected a field, found the text 't'"),
        ({"recordSet": [{"@id": "r", "data": [{}]}]}, "no record set reads files that could be a source"),
        (
            {"distribution": [{"@id": "f", "includes": "*.jsonl", "containedIn": {"@id": "f"}}]},
            "files contained in files contain each other",
        ),
    ],
)
def test_metadata(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    assert message in wrong(tmp_path / "x.json", croissant(**changes), "croissant")


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("energon", f"{HEAD}    path: s3://user:hunter2@host/coco\n"),
        ("energon", f"{HEAD}    path: coco\n    aux: {{images: 'https://host/x?X-Amz-Signature=hunter2'}}\n"),
        ("energon", f"{HEAD}    path: coco\n    weight: s3://user:hunter2@host/coco\n"),
        ("megatron", "30 s3://user:hunter2@host/a 70 b"),
        ("megatron", '["30", "https://host/a?token=hunter2"]'),
        ("olmo-core", (OLMO % "1").replace("a.npy", "https://host/a.npy?sig=hunter2")),
        ("hf-card", CARD % "https://user:hunter2@host/a.jsonl"),
        ("croissant", croissant(url="https://user:hunter2@host/")),
    ],
)
def test_secrets_go_nowhere(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, kind: str, text: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("x.txt").write_text(text)
    assert main(["import", "x.txt", "--from", kind, "-o", "spec.yaml"]) == 1
    streams = capsys.readouterr()
    assert "holds credentials" in streams.err
    assert "hunter2" not in streams.err + streams.out
    assert not Path("spec.yaml").exists()


def test_secrets_within_prose_are_not_repeated(tmp_path: Path) -> None:
    prose = "see https://user:hunter2@host/ for more"
    (tmp_path / "x.yaml").write_text(f"{HEAD}    path: a.jsonl\n    note: {prose}\n")
    result = read(tmp_path / "x.yaml", installed=INSTALLED)
    assert "hunter2" not in result.spec_text + str(result.untranslated)
    assert "see (a URL with credentials) for more" in result.spec_text


@pytest.mark.parametrize(
    "text", ["just some words\n", "a: 1\n", "- 1\n- 2\n", '{"a": 1}', "# a page\n\n---\n", "3.5\n"]
)
def test_what_is_nothing_of_it(tmp_path: Path, text: str) -> None:
    message = wrong(tmp_path / "x.txt", text)
    assert message.startswith("x.txt:1:1: cannot tell what this is. Tried energon: no mapping with `splits`; megatron:")
    assert "croissant: " in message
    assert message.endswith("`--from KIND` says it")


def test_a_spec_is_not_imported(tmp_path: Path) -> None:
    text = "version: 1\nsources: {a: {path: a.jsonl, content: text}}\nmixture: {by: dataset}\n"
    assert wrong(tmp_path / "x.yaml", text) == "x.yaml:1:1: this is a spec already: there is nothing to import"


def test_the_wrong_kind(tmp_path: Path) -> None:
    assert "a metadataset has `splits`" in wrong(tmp_path / "x.yaml", OLMO % "1", "energon")
    assert "an OLMo-core mixture has `sources:" in wrong(tmp_path / "x.yaml", f"{HEAD}    path: a\n", "olmo-core")
    assert "no `recordSet`" in wrong(tmp_path / "x.json", '{"train": ["1", "a"]}', "croissant")
    assert "expected a mapping with keys" in wrong(tmp_path / "x.yaml", "[1, 2]", "energon")
    with pytest.raises(ValueError, match="no kind 'webdataset' can be imported; kinds: energon, megatron"):
        read(tmp_path / "x.yaml", "webdataset")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"splits: \xff", "x.yaml:1:9: the byte 0xff is not UTF-8"),
        (b"splits: \x07", "x.yaml:1:9: the character U+0007 is not allowed in YAML"),
        (b"#" * (4 << 20) + b"##", "is larger than 4 MiB: is it a data file? a file to import is a small YAML file"),
        (
            b"a: &a [x, x, x, x, x, x, x, x, x]\n" * 1
            + b"".join(b"%c: &%c [%s]\n" % (n + 1, n + 1, b", ".join([b"*%c" % n] * 9)) for n in range(97, 105)),
            "aliases",
        ),
        (
            b"splits:\n" + b"".join(b" " * n + b"a:\n" for n in range(1, 60)),
            "nested more than 50 levels deep: this is not a file to import",
        ),
        (b"splits: {}\n---\nsplits: {}\n", "a second document begins here; a file to import is one"),
        (b"# only a remark\n", "x.yaml:1:1: the file is empty"),
    ],
    ids=["utf-8", "control", "large", "alias-bomb", "deep", "two-documents", "comment"],
)
def test_files_that_cannot_be_read(tmp_path: Path, data: bytes, message: str) -> None:
    (tmp_path / "x.yaml").write_bytes(data)
    with pytest.raises(SpecError) as caught:
        read(tmp_path / "x.yaml", "energon")
    assert message in str(caught.value)


def test_files_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="no such file"):
        read(tmp_path / "gone.yaml")
    with pytest.raises(SpecError, match=r"cannot read .*[Ii]s a directory"):
        read(tmp_path)
    with pytest.raises(SpecError, match="import reads files of this machine only, not s3://corpora/meta"):
        read("s3://corpora/metadataset.yaml")


def test_a_blend_of_no_words() -> None:
    with pytest.raises(SpecError, match="blend:1:1: no words"):
        read_blend([])
    with pytest.raises(SpecError, match=r"blend:1:1: 'a\.yaml' is no weight"):
        read_blend(["a.yaml", "b.yaml"])


def test_a_spec_too_large_to_be_one(tmp_path: Path) -> None:
    words = ", ".join(f'"1", "p{n}"' for n in range(8_000))
    assert "larger than a spec may be" in wrong(tmp_path / "x.json", f"[{words}]", "megatron")
