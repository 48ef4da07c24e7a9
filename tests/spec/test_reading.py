import os
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from mixtera.spec.document import Mapping, Scalar
from mixtera.spec.issues import Issues
from mixtera.spec.reading import MAX_BYTES, read
from tests.spec.samples import issues_of, write

BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{n}: &{n} [{', '.join(['*' + p] * 10)}]\n" for p, n in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("[" * 1_000_000, "levels deep"),
        ("- " * 500_000, "levels deep"),
        ("a: " + "{b: " * 2_000 + "1" + "}" * 2_000, "levels deep"),
        ("a: &a [*a]", "aliases"),
        ("a: &a {b: *a}", "aliases"),
        (BOMB, "aliases"),
        ("x: [" + "1, " * 300_000 + "1]", "100,000 values"),
        ("x: " + "9" * 1_000_000, "unknown key 'x'"),
        ("x: *nowhere", "undefined alias"),
        ("? [a, b]\n: 1", "a key must be one word"),
        ("a: !!python/name:os.system x", "not allowed"),
        ("a: !!int '1'", "not allowed"),
        ("a: \x07", "U+0007"),
        ('version: "\\0"', "U+0000"),
        ("<<: 5", "merges a mapping"),
        ("text only", "is a mapping"),
        ("\n\n# nothing\n", "empty"),
    ],
)
def test_hostile_files_get_an_issue_and_no_hang(tmp_path: Path, text: str, word: str) -> None:
    path = tmp_path / "spec.yaml"
    path.write_bytes(text.encode())
    found = issues_of(path)
    assert any(word in issue.message for issue in found), found[:3]
    assert max(len(issue.message) for issue in found) < 400


def test_files_that_are_no_specs(tmp_path: Path) -> None:
    big = tmp_path / "big.yaml"
    big.write_bytes(b"x" * (MAX_BYTES + 1))
    binary = tmp_path / "data.parquet"
    binary.write_bytes(b"PAR1\x00\x01\xff\xfe" * 100)
    for path, word in (
        (big, "larger than 4 MiB"),
        (binary, "UTF-8"),
        (tmp_path, "directory"),
        (tmp_path / "no", "no such file"),
    ):
        (issue,) = issues_of(path)
        assert word in issue.message
        assert issue.file == str(path)
        assert issue.line == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    path = write(tmp_path, "version: 1")
    path.chmod(0)
    (issue,) = issues_of(path)
    assert "Permission denied" in issue.message


def test_a_byte_order_mark_and_windows_line_ends_change_nothing(tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    path.write_bytes("\ufeffversion: 1\r\nsources: {}\r\nmixture: {by: 'x'}\r\n".encode())
    assert [(i.line, i.column) for i in issues_of(path)] == [(2, 10)]


def test_the_place_of_a_wrong_byte_is_counted_in_characters(tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    path.write_bytes("a: 1\nname: ééé".encode() + b"\xff")
    (issue,) = issues_of(path)
    assert (issue.line, issue.column) == (2, 10)


TEXTS = st.text(
    st.characters(
        codec="utf-8", exclude_categories=("Cc", "Cs", "Co", "Cn"), exclude_characters="\ufeff\x85\u2028\u2029"
    )
    | st.sampled_from(" \n'\"\\:#"),
    min_size=1,
    max_size=60,
)


@given(
    text=TEXTS, style=st.sampled_from([None, "'", '"', "|", ">"]), width=st.sampled_from([20, 80, 1000]), data=st.data()
)
def test_every_character_is_found_where_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, text: str, style: str | None, width: int, data: st.DataObject
) -> None:
    dumped = yaml.safe_dump({"outer": {"key": text}}, default_style=style, width=width, allow_unicode=True)
    path = tmp_path_factory.getbasetemp() / "located.yaml"
    path.write_text(dumped, encoding="utf-8", newline="")
    issues = Issues()
    root = read(str(path), issues)
    assert isinstance(root, Mapping), issues.found
    inner = root.entries[0].value
    assert isinstance(inner, Mapping)
    scalar = inner.entries[0].value
    assert isinstance(scalar, Scalar)
    assert scalar.text == text
    inked = [offset for offset, character in enumerate(text) if not character.isspace()]
    if inked:
        offset = data.draw(st.sampled_from(inked))
        place = scalar.locator()(offset)
        written = dumped.split("\n")[place.line - 1][place.column - 1 :]
        assert written.startswith((text[offset], "\\"))


def test_large_specs_are_read_and_hostile_ones_end(tmp_path: Path) -> None:
    head = "version: 1\nsources: {a: {path: a.jsonl, format: jsonl, content: text, properties: {u: u}}}\n"
    values = ", ".join(f"v{n}: {n + 1}" for n in range(20_000))
    terms = " or ".join(f"u == 'x{n}'" for n in range(1_200))
    good = write(tmp_path, f'{head}filter: "{terms}"\nmixture: {{by: u, weights: {{values: {{{values}}}}}}}\n')
    assert issues_of(good) == ()
    unknown = ", ".join(f"w{n}: 1" for n in range(20_000))
    bad = write(tmp_path, f"{head}mixture: {{by: dataset, weights: {{values: {{{unknown}}}}}}}\n", "bad.yaml")
    assert len(issues_of(bad)) == 1_000
