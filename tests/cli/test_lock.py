"""`mixtera lock`, and what runs do with a lock."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

import mixtera
from mixtera import Lock, LockError
from tests import both
from tests.cli.conftest import Run


def append(record: dict[str, object]) -> None:
    with Path("web/a.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(record) + "\n")


def replace_in(file: str, old: str, new: str) -> None:
    text = Path(file).read_text()
    assert old in text
    Path(file).write_text(text.replace(old, new))


def test_a_lock_holds_until_something_moves(run: Run, fresh: Path) -> None:
    code, out, err = run("lock", "mixed.yaml")
    lock = Lock.open("mixed.yaml.lock")
    assert (code, out) == (0, f"{lock.digest}\n")
    assert f"mixed.yaml.lock: 2 files, 370 samples, 5 components, plan {lock.body.plan}" in err
    assert str(fresh) not in Path("mixed.yaml.lock").read_text()
    assert run("lock", "--check", "mixed.yaml") == (0, "", "mixed.yaml compiles to what mixed.yaml.lock says\n")
    written = Path("mixed.yaml.lock").read_bytes()
    assert run("lock", "mixed.yaml", "--quiet")[::2] == (0, "")
    assert Path("mixed.yaml.lock").read_bytes() == written


def test_a_changed_file_is_seen_before_and_after_it_is_indexed(run: Run) -> None:
    run("lock", "mixed.yaml")
    append({"text": "new", "lang": "en", "year": 2011})
    code, out, err = run("lock", "--check", "mixed.yaml")
    assert code == 1
    assert out.startswith(
        "not indexed yet: the files are not as the catalog knows them\nsource web: 1 changed\n  ~ a.jsonl  bytes"
    )
    assert "`mixtera index mixed.yaml; mixtera lock mixed.yaml` locks it anew" in err
    code, out, err = run("lock", "mixed.yaml")
    assert (code, out) == (1, "")
    assert "files have moved since they were indexed" in err
    run("index", "mixed.yaml")
    code, out, err = run("lock", "--check", "mixed.yaml")
    assert code == 1
    assert out.splitlines()[0] == "source web: 1 changed"
    assert "rows 400 → 401" in out
    assert "  ~ english  samples 180 → 181" in out.splitlines()
    assert "not indexed" not in out
    assert "mixed.yaml has moved since mixed.yaml.lock was written; `mixtera lock mixed.yaml`" in err
    assert run("lock", "mixed.yaml")[0] == run("lock", "--check", "mixed.yaml")[0] == 0


def test_added_and_gone_files_are_named(run: Run) -> None:
    run("lock", "mixed.yaml")
    shutil.copy2("web/a.jsonl", "web/b.jsonl")
    assert "  + b.jsonl  24,290 bytes" in run("lock", "--check", "mixed.yaml")[1].splitlines()
    run("index", "mixed.yaml")
    assert "  + b.jsonl  400 rows, 24,290 bytes" in run("lock", "--check", "mixed.yaml")[1].splitlines()
    run("lock", "mixed.yaml")
    Path("web/b.jsonl").unlink()
    run("index", "mixed.yaml")
    code, out, _ = run("lock", "--check", "mixed.yaml")
    assert code == 1
    assert "source web: 1 gone" in out
    assert "  - b.jsonl  400 rows, 24,290 bytes" in out.splitlines()


def test_a_changed_spec_is_shown_by_its_lines(run: Run) -> None:
    run("lock", "mixed.yaml")
    replace_in("mixed.yaml", "weight: 50", "weight: 55")
    code, out, _ = run("lock", "--check", "mixed.yaml")
    assert code == 1
    assert {"  --- mixed.yaml.lock", "  +++ mixed.yaml", "  -      weight: 50", "  +      weight: 55"} <= set(
        out.splitlines()
    )
    assert "  ~ english  weight 50 → 55" in out.splitlines()


def test_another_way_of_writing_the_same_spec_is_no_move(run: Run) -> None:
    run("lock", "mixed.yaml")
    replace_in("mixed.yaml", "name: mixed", "name: 'mixed'   # the same")
    assert run("lock", "--check", "mixed.yaml") == (0, "", "mixed.yaml compiles to what mixed.yaml.lock says\n")
    replace_in("mixed.yaml", "seed: 7,", "seed: 7, shuffle: global,")
    code, _, err = run("lock", "--check", "mixed.yaml")
    assert code == 0
    assert "(its lines differ, and mean the same plan)" in err


def test_runs_refuse_a_plan_whose_lock_moved(run: Run, tmp_path: Path) -> None:
    run("lock", "mixed.yaml")
    digest = run("compile", "mixed.yaml", "-o", "plan")[1].strip()
    lock = Lock.open("mixed.yaml.lock")
    assert digest == lock.body.plan
    assert mixtera.Plan.open("plan").data.facts["lock"] == lock.digest
    assert f"\n  as locked: {lock.digest}\n" in run("explain", "plan")[1]
    assert json.loads(run("explain", "plan", "--json")[1])["plan"]["lock"] == lock.digest
    replace_in("mixed.yaml", "seed: 7", "seed: 8")
    for words in (["compile", "mixed.yaml", "-o", "other"], ["stream", "mixed.yaml", "--limit", "1"]):
        code, out, err = run(*words)
        assert (code, out) == (1, "")
        assert err.startswith("mixed.yaml does not compile to what mixed.yaml.lock says:\n")
        assert "  ~ seed 7 → 8" in err.splitlines()
        assert "`mixtera lock mixed.yaml` writes a new lock; `--no-lock` (`lock=None`)" in err
    assert not Path("other").exists()
    assert run("stream", "mixed.yaml", "--limit", "1", "--no-lock")[0] == 0
    assert run("compile", "mixed.yaml", "-o", "other", "--no-lock")[0] == 0
    assert "lock" not in mixtera.Plan.open("other").data.facts
    assert "as locked" not in run("explain", "other")[1]
    assert run("stream", "plan", "--limit", "1")[0] == 0, "a plan is what it is"


def test_explain_warns_instead_of_refusing(run: Run) -> None:
    run("lock", "mixed.yaml")
    assert "as locked: sha256:" in run("explain", "mixed.yaml")[1]
    replace_in("mixed.yaml", "seed: 7", "seed: 8")
    code, out, _ = run("explain", "mixed.yaml")
    assert code == 0
    assert "as locked" not in out
    assert "  1. mixed.yaml does not compile to what mixed.yaml.lock says." in out.splitlines()
    code, out, _ = run("explain", "mixed.yaml", "--json")
    assert json.loads(out)["warnings"][0]["code"] == "lock-moved"
    Path("mixed.yaml.lock").write_text("{}")
    code, out, _ = run("explain", "mixed.yaml")
    assert code == 0
    assert "1. mixed.yaml.lock is not a lock" in out


def test_python_refuses_too_and_can_be_told_not_to(run: Run) -> None:
    spec, catalog = mixtera.load("mixed.yaml"), mixtera.Catalog.open(".mixtera", create=False)
    lock = mixtera.lock(spec, catalog)
    lock.save("mixed.yaml.lock")
    assert mixtera.compile(spec, catalog).data.facts["lock"] == lock.digest
    replace_in("mixed.yaml", "weight: 20", "weight: 21")
    other = mixtera.load("mixed.yaml")
    with pytest.raises(LockError, match="does not compile") as raised:
        mixtera.compile(other, catalog)
    assert raised.value.difference["moved"] is True
    assert [one["name"] for one in raised.value.difference["components"]] == ["recent"]
    plan = mixtera.compile(other, catalog, lock=None)
    assert "lock" not in plan.data.facts
    with pytest.raises(LockError, match="does not compile to what its lock says"):
        mixtera.compile(spec, catalog, lock=mixtera.lock(other, catalog))
    assert mixtera.compile(other, catalog, lock=mixtera.lock(other, catalog)).digest == plan.digest
    assert lock.difference(mixtera.lock(other, catalog)).moved
    assert mixtera.compile(spec, catalog, lock="mixed.yaml.lock").data.facts["lock"] == lock.digest
    with pytest.raises(LockError, match=r"does not compile to what \./mixed\.yaml\.lock says"):
        mixtera.compile(other, catalog, lock="./mixed.yaml.lock")
    with pytest.raises(LockError, match=r"there is no lock no\.lock"):
        mixtera.compile(spec, catalog, lock="no.lock")


def test_a_catalog_made_elsewhere_holds_the_lock_and_copies_hold_a_portable_one(run: Run) -> None:
    run("lock", "mixed.yaml")
    before = Path("mixed.yaml.lock").read_text()
    run("index", "mixed.yaml", "--catalog", "elsewhere")
    assert run("lock", "--check", "mixed.yaml", "--catalog", "elsewhere")[0] == 0
    os.utime("web/a.jsonl", ns=(1, 10**18))
    run("index", "mixed.yaml", "--catalog", "elsewhere")
    code, out, err = run("lock", "--check", "mixed.yaml", "--catalog", "elsewhere")
    assert code == 1
    assert "source web: 1 changed" in out
    assert "plan" not in out
    assert "Only times of files differ, as after copying them: `mixtera lock --portable`" in err
    code, _, err = run("compile", "mixed.yaml", "-o", "plan", "--catalog", "elsewhere")
    assert code == 1
    assert "Only times of files differ" in err
    assert run("lock", "mixed.yaml", "--portable", "--catalog", "elsewhere")[0] == 0
    os.utime("web/a.jsonl", ns=(1, 2 * 10**18))
    run("index", "mixed.yaml", "--catalog", "elsewhere")
    assert run("lock", "--check", "mixed.yaml", "--catalog", "elsewhere")[0] == 0
    assert run("compile", "mixed.yaml", "-o", "plan", "--catalog", "elsewhere")[0] == 0
    assert before != Path("mixed.yaml.lock").read_text()
    assert Lock.open("mixed.yaml.lock").is_portable
    append({"text": "new", "lang": "en", "year": 2011})
    assert run("lock", "--check", "mixed.yaml", "--catalog", "elsewhere")[0] == 1


def test_a_portable_lock_is_not_replaced_by_another_kind_without_a_word(run: Run) -> None:
    assert "was portable" not in run("lock", "mixed.yaml")[2]
    assert "was portable" not in run("lock", "mixed.yaml", "--portable")[2]
    assert "was portable" not in run("lock", "mixed.yaml", "--portable")[2]
    assert "mixed.yaml.lock was portable; `--portable` keeps it so" in run("lock", "mixed.yaml")[2]
    assert not Lock.open("mixed.yaml.lock").is_portable


def test_the_lock_of_a_spec_that_is_given_by_url(run: Run, fresh: Path) -> None:
    run("lock", "mixed.yaml")
    url = f"file://{fresh}/mixed.yaml"
    assert run("index", url)[0] == 0
    assert run("compile", url, "-o", "plan")[0] == 0
    assert mixtera.Plan.open("plan").data.facts["lock"] == Lock.open("mixed.yaml.lock").digest
    replace_in("mixed.yaml", "seed: 7", "seed: 8")
    assert run("compile", url, "-o", "plan")[0] == 1
    Path("mixed.yaml.lock").unlink()
    assert run("compile", url, "-o", "plan")[0] == 0
    assert run("lock", url)[0] == 0
    assert run("lock", "--check", url)[0] == 0
    code, _, err = run("lock", url, "--file", "zip://a.lock::file:///nowhere/a.zip")
    assert code == 3
    assert "zip://a.lock::file:///nowhere/a.zip" in err


def test_json(run: Run) -> None:
    made = json.loads(run("lock", "mixed.yaml", "--json")[1])
    lock = Lock.open("mixed.yaml.lock")
    assert made == {
        "lock": "mixed.yaml.lock",
        "digest": lock.digest,
        "plan": lock.body.plan,
        "positions": 303,
        "samples": 370,
        "sources": 2,
        "files": 2,
    }
    code, out, _ = run("lock", "--check", "mixed.yaml", "--json")
    assert code == 0
    assert json.loads(out)["moved"] is False
    append({"text": "new", "lang": "en", "year": 2011})
    code, out, _ = run("lock", "--check", "mixed.yaml", "--json")
    values = json.loads(out)
    assert (code, values["moved"], values["sources"]) == (1, True, [])
    assert [(s["name"], s["files"][0]["name"]) for s in values["unindexed"]] == [("web", "a.jsonl")]
    run("index", "mixed.yaml")
    values = json.loads(run("lock", "--check", "mixed.yaml", "--json")[1])
    assert (values["moved"], values["unindexed"]) == (True, [])
    assert values["sources"][0]["files"][0]["after"]["rows"] == 401


def test_a_lock_elsewhere(run: Run) -> None:
    assert run("lock", "mixed.yaml", "--file", "locks.json")[0] == 0
    assert not Path("mixed.yaml.lock").exists()
    assert run("lock", "--check", "mixed.yaml", "--file", "locks.json")[0] == 0
    assert run("lock", "--check", "natural.yaml", "--file", "locks.json")[0] == 1


def test_what_cannot_be_locked(run: Run) -> None:
    code, out, err = run("lock", "--check", "mixed.yaml")
    assert (code, out) == (1, "")
    assert "there is no lock mixed.yaml.lock; `mixtera lock SPEC` writes one" in err
    assert run("lock", "mixed.yaml", "--check", "--portable")[0] == 2
    assert run("lock", "nowhere.yaml")[0] == 1
    code, _, err = run("lock", "mixed.yaml", "--catalog", "none")
    assert code == 1
    assert "none" in err
    Path("new.yaml").write_text(
        "version: 1\nsources: {new: {path: web/*.jsonl, content: text}}\nmixture: {by: dataset}\n"
    )
    code, _, err = run("lock", "new.yaml")
    assert code == 1
    assert "source 'new' is not in the catalog" in err
    assert not Path("new.yaml.lock").exists()
    assert run("lock", "mixed.yaml", "--file", "no/such/folder.lock")[0] == 3
    code, _, err = run("lock", "mixed.yaml", "--file", "natural.yaml")
    assert code == 1
    assert "natural.yaml holds something that is not a lock" in err
    Path("web/a.jsonl").unlink()
    assert run("lock", "mixed.yaml")[0] == 1, "all files are gone: they have moved, as when some have"


@pytest.mark.parametrize(
    "words", [("compile", "mixed.yaml", "-o", "plan"), ("stream", "mixed.yaml"), ("lock", "--check", "mixed.yaml")]
)
def test_a_damaged_lock_is_no_lock_that_holds(run: Run, words: tuple[str, ...]) -> None:
    run("lock", "mixed.yaml")
    replace_in("mixed.yaml.lock", '"order_version": 2', '"order_version": ')
    code, out, err = run(*words)
    assert (code, out) == (1, "")
    assert "the lock mixed.yaml.lock is damaged" in err
    assert run("lock", "mixed.yaml")[0] == 0, "it can be written anew"


def test_files_that_are_all_gone_have_moved(run: Run) -> None:
    run("lock", "mixed.yaml")
    for path in Path("web").iterdir():
        path.unlink()
    code, out, err = run("lock", "--check", "mixed.yaml")
    assert code == 1, err
    assert "source web: 1 gone" in out
    assert "  - a.jsonl" in out
    shutil.rmtree("web")
    assert run("lock", "--check", "mixed.yaml")[0] == 1


def test_another_algorithm_and_its_values_are_named(run: Run) -> None:
    replace_in("natural.yaml", "weights: natural", "weights: natural, dynamic: {algorithm: odm, every: 4}")
    assert run("lock", "natural.yaml")[0] == 0
    assert ' "dynamic": {\n  "algorithm": "odm",\n' in Path("natural.yaml.lock").read_text()
    assert run("lock", "--check", "natural.yaml")[0] == 0
    replace_in("natural.yaml", "algorithm: odm, every: 4", "algorithm: exp3, floor: 0.05")
    code, out, _ = run("lock", "--check", "natural.yaml")
    assert code == 1
    assert out[: out.index("spec\n")] == (
        "dynamic\n  ~ dynamic odm → exp3\n  ~ dynamic.every 4 → 1\n  ~ dynamic.floor none → 0.05\n"
    )
    values = json.loads(run("lock", "--check", "natural.yaml", "--json")[1])["settings"]
    assert {"name": "dynamic.floor", "before": None, "after": 0.05} in values
    out = run("diff", "natural.yaml.lock", "natural.yaml")[1]
    assert "\nWeights that follow the training\n" in out


def test_what_components_deliver_is_named(run: Run) -> None:
    both.write_files(Path())
    Path("both.yaml").write_text(both.SPEC)
    assert run("index", "both.yaml", "--quiet")[0] == run("lock", "both.yaml")[0] == 0
    assert run("lock", "--check", "both.yaml")[0] == 0
    replace_in("both.yaml", "deliver: [image, caption]", "deliver: image")
    replace_in("both.yaml", "group: 16", "group: 32")
    code, out, err = run("lock", "--check", "both.yaml")
    assert code == 1, err
    lines = out.splitlines()
    start = lines.index("delivery")
    assert lines[start + 1 : start + 3] == [
        "  ~ deliver of pictures image, caption → image",
        "  ~ stream.group 16 → 32",
    ]
    code, out, _ = run("diff", "both.yaml.lock", "both.yaml")
    blocks = {block.splitlines()[0]: block for block in out.split("\n\n")}
    assert "stream.group" in blocks["Delivery"]
