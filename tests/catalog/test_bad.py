"""Records that cannot be used: limits over the whole source, and what the catalog says of each."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest

from mixtera.catalog import Catalog
from mixtera.errors import CatalogError, SampleError
from mixtera.spec.model import BadSamples
from tests.catalog.corpus import append, properties, source, spec, touch_later, write_lines
from tests.catalog.test_commands import mixtera

__all__ = ["mixtera"]

TYPED = properties(language=("meta.language", "string"))


def spoiled(data: Path, count: int) -> int:
    """Spoil each of the four files with some lines; how many good records there are."""
    for path in data.iterdir():
        append(path, b"nonsense\n" * count)
    return 126


@pytest.mark.parametrize("policy", ["skip", "quarantine"])
def test_a_number_counts_over_all_files(policy, catalog: Catalog, data: Path) -> None:
    spoiled(data, 2)
    with pytest.raises(SampleError, match=r"8 records cannot be used, and the limit is 7"):
        catalog.index(spec(source(data / "*.jsonl", TYPED, BadSamples(policy, 7))), workers=1)
    assert catalog.sources() == ()
    report = catalog.index(spec(source(data / "*.jsonl", TYPED, BadSamples(policy, 8))), workers=2)
    assert (report.samples, report.skipped + report.quarantined) == (126, 8)


def test_a_share_counts_over_all_files(catalog: Catalog, data: Path) -> None:
    good = spoiled(data, 1)
    share = 4 / (good + 4)
    with pytest.raises(SampleError, match=r"4 of 130 records cannot be used, and the limit is a fraction of 0\.03"):
        catalog.index(spec(source(data / "*.jsonl", TYPED, BadSamples("skip", None, 0.03))))
    assert catalog.index(spec(source(data / "*.jsonl", TYPED, BadSamples("skip", None, share)))).skipped == 4


def test_files_that_were_indexed_before_count_too(catalog: Catalog, data: Path) -> None:
    append(data / "part-0.jsonl", b"nonsense\n" * 3)
    rule = BadSamples("quarantine", 4)
    assert catalog.index(spec(source(data / "*.jsonl", TYPED, rule))).quarantined == 3
    touch_later(write_lines(data / "new.jsonl", range(5)))
    append(data / "new.jsonl", b"nonsense\n" * 2)
    with pytest.raises(SampleError, match="5 records cannot be used, and the limit is 4"):
        catalog.index(spec(source(data / "*.jsonl", TYPED, rule)))
    assert catalog.state("web").files.num_rows == 4


@pytest.mark.parametrize("rule", [BadSamples("skip", 2), BadSamples("skip", None, 0.01)])
def test_a_limit_that_is_lowered_holds_for_what_is_there(rule: BadSamples, catalog: Catalog, data: Path) -> None:
    append(data / "part-0.jsonl", b"nonsense\n" * 3)
    catalog.index(spec(source(data / "*.jsonl", TYPED, BadSamples("skip"))))
    lower = source(data / "*.jsonl", TYPED, rule)
    with pytest.raises(CatalogError, match=r"3 (of 129 )?records left out, now"):
        catalog.source(lower)
    with pytest.raises(SampleError, match=r"3 (of 129 )?records cannot be used"):
        catalog.index(spec(lower))
    assert catalog.index(spec(source(data / "*.jsonl", TYPED, BadSamples("skip", 3)))).samples == 126


def test_another_policy_reads_the_files_with_bad_records_again(catalog: Catalog, data: Path) -> None:
    append(data / "part-0.jsonl", b"nonsense\n")
    assert catalog.index(spec(source(data / "*.jsonl", TYPED, BadSamples("skip")))).skipped == 1
    report = catalog.index(spec(source(data / "*.jsonl", TYPED, BadSamples("quarantine"))))
    assert (report.indexed_files, report.skipped, report.quarantined) == (1, 0, 1)
    assert catalog.quarantine("web").column("excerpt").to_pylist() == ["nonsense"]


def write_bad(directory: Path, kind: str) -> tuple[str, dict[str, object]]:
    """A file whose second record cannot be used: the pattern, and what the quarantine says of it."""
    directory.mkdir()
    table = pa.table({"text": ["good", None, "good"], "year": [1, 2, 3]})
    if kind == "jsonl":
        (directory / "a\nb.jsonl").write_text('{"text": "good", "year": 1}\n{"text": "bad", "year": "x"}\n')
        reason = "property 'year' (year): expected int64, got \"x\""
        return "*.jsonl", {
            "file": "a\nb.jsonl", "row": 1, "offset": 28, "reason": reason, "excerpt": '{"text": "bad", "year": "x"}',
        }  # fmt: skip
    if kind == "csv":
        (directory / "a.csv").write_text("text,year\ngood,1\nbad\n")
        reason = "it has 1 field(s) and the header has 2"
        return "*.csv", {"file": "a.csv", "row": 1, "offset": 17, "reason": reason, "excerpt": "bad"}
    if kind == "text":
        (directory / "a.txt").write_bytes(b"caf\xe9")
        (directory / "b.txt").write_bytes(b"good")
        reason = "not valid UTF-8: unexpected end of data at byte 3"
        return "*.txt", {"file": "a.txt", "row": 0, "offset": None, "reason": reason, "excerpt": "caf\ufffd"}
    reason, shown = "content column 'text' is NULL", '{"text": null, "year": 2}'
    if kind == "parquet":
        pq.write_table(table, directory / "a.parquet")
    else:
        feather.write_feather(table, str(directory / "a.arrow"))
    return f"*.{kind}", {"file": f"a.{kind}", "row": 1, "offset": None, "reason": reason, "excerpt": shown}


@pytest.mark.parametrize("kind", ["jsonl", "csv", "text", "parquet", "arrow"])
def test_the_quarantine_says_where_why_and_how_it_begins(kind: str, mixtera, tmp_path: Path) -> None:
    pattern, expected = write_bad(tmp_path / "data", kind)
    wanted = "" if kind == "text" else "properties: {year: {path: year, type: int64}}, "
    path = tmp_path / "spec.yaml"
    path.write_text(
        f"version: 1\nsources: {{web: {{path: 'data/{pattern}', content: text, {wanted}on_bad_sample: quarantine}}}}\n"
        "mixture: {by: dataset}\n"
    )
    code, _, err = mixtera("index", str(path))
    assert code == 0
    assert "web: 1 record cannot be used and was left out: `mixtera catalog show web --quarantine` says which" in err
    (record,) = json.loads(mixtera("catalog", "show", "web", "--quarantine", "--json")[1])
    assert dict(sorted(record.items())) == dict(sorted(expected.items()))
    code, out, _ = mixtera("catalog", "show", "web", "--quarantine")
    header, line = out.splitlines()
    assert header.split() == ["file", "row", "offset", "reason", "excerpt"]
    assert str(expected["reason"]) in line
    assert repr(expected["excerpt"]) in line


def test_what_was_skipped_is_said_and_how_to_have_it_written_down(mixtera, tmp_path: Path, data: Path) -> None:
    append(data / "part-0.jsonl", b"nonsense\nmore\n")
    path = tmp_path / "spec.yaml"
    path.write_text(
        "version: 1\nsources: {web: {path: 'data/*.jsonl', content: text, on_bad_sample: {policy: skip, limit: 2%}}}\n"
        "mixture: {by: dataset}\n"
    )
    code, _, err = mixtera("index", str(path))
    assert code == 0
    assert "web: 2 records cannot be used and were left out; with `on_bad_sample: quarantine`" in err
    assert "2 that were left out were skipped" in mixtera("catalog", "show", "web", "--quarantine")[2]
    assert mixtera("index", str(path), "--quiet")[2] == ""
    path.write_text(path.read_text().replace("2%", "1"))
    code, _, err = mixtera("index", str(path))
    assert code == 1
    assert "2 records cannot be used, and the limit is 1" in err
