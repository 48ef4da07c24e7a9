import argparse
import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

from mixtera.cli import main as cli
from mixtera.errors import StorageError

PROGRAM = Path(sys.executable).with_name("mixtera")
GOOD = "version: 1\nsources: {a: {path: a.jsonl, format: jsonl, content: text}}\nmixture: {by: dataset}\n"
BAD = GOOD.replace("by: dataset", "by: datasets").replace("content", "contents")


def run(*arguments: str, **more: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, timeout=600, check=False, **more)  # type: ignore[call-overload,no-any-return]


def test_help_lists_every_command() -> None:
    done = run("--help")
    assert done.returncode == 0
    assert all(f"\n    {command.name} " in done.stdout for command in cli.COMMANDS)


def test_help_imports_no_command_and_nothing_heavy() -> None:
    code = (
        "import sys, mixtera.cli.main as m; code = m.main(['--help'])\n"
        "heavy = {'yaml', 'numpy', 'pyarrow', 'duckdb', 'ibis', 'torch', 'rich', 'mixtera.cli.check', 'mixtera.spec'}\n"
        "print(code, sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=600, check=True)
    assert done.stderr == "0 []\n"


def test_version() -> None:
    done = run("--version")
    assert (done.returncode, done.stdout) == (0, "mixtera 0.1.0\n")


@pytest.mark.parametrize(
    "arguments", [(), ("no-such-command",), ("check",), ("schema", "--nope"), ("--nope", "schema")]
)
def test_wrong_usage_is_exit_2(arguments: tuple[str, ...]) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("usage: mixtera")


@pytest.mark.parametrize("command", cli.COMMANDS, ids=lambda command: command.name)
def test_every_command_says_what_the_list_says(command: cli.Command) -> None:
    assert importlib.util.find_spec(command.module) is not None
    module = importlib.import_module(command.module)
    assert (command.name, command.help) == (module.NAME, module.HELP)
    parser = argparse.ArgumentParser()
    module.configure(parser)
    cli.add_common(parser)


def test_check_tells_every_issue_of_every_file(tmp_path: Path) -> None:
    (tmp_path / "good.yaml").write_text(GOOD)
    (tmp_path / "bad.yaml").write_text(BAD)
    done = run("check", "bad.yaml", "good.yaml", "gone.yaml", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert [line.partition(": ")[0] for line in done.stderr.splitlines()] == [
        "bad.yaml:2:45",
        "bad.yaml:3:15",
        "gone.yaml:1:1",
        "good.yaml",
    ]
    assert run("check", "good.yaml", "--quiet", cwd=tmp_path).stderr == ""


def test_check_as_json(tmp_path: Path) -> None:
    (tmp_path / "good.yaml").write_text(GOOD)
    (tmp_path / "bad.yaml").write_text(BAD)
    done = run("check", "good.yaml", "bad.yaml", "--json", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (1, "")
    good, bad = json.loads(done.stdout)
    assert good == {"spec": "good.yaml", "ok": True, "issues": []}
    assert [(i["file"], i["line"], i["column"]) for i in bad["issues"]] == [("bad.yaml", 2, 45), ("bad.yaml", 3, 15)]


def test_check_of_good_specs_is_exit_0(tmp_path: Path) -> None:
    (tmp_path / "good.yaml").write_text(GOOD)
    done = run("check", "good.yaml", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "good.yaml: ok\n")


def test_schema_is_json_on_stdout() -> None:
    done = run("schema")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["title"] == "Mixtera spec"


def test_a_reader_that_goes_away_is_no_error() -> None:
    with subprocess.Popen([PROGRAM, "schema"], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.wait(600) == 0
        assert process.stderr.read() == b""


def test_a_full_disk_is_exit_3() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [PROGRAM, "schema"], stdout=full, stderr=subprocess.PIPE, text=True, timeout=600, check=False
        )
    assert (done.returncode, done.stderr) == (3, f"mixtera: no space left on device{cli._MAKE_ROOM}\n")


class Failing:
    """A command that fails in a given way."""

    NAME = HELP = "fail"

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """No arguments."""

    def run(self, arguments: argparse.Namespace) -> int:
        raise self.error


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (StorageError("s3://bucket is not there"), 3, "s3://bucket is not there\n"),
        (PermissionError(13, "Permission denied", "/data/a"), 3, "mixtera: /data/a: permission denied\n"),
        (KeyboardInterrupt(), 130, "mixtera: interrupted\n"),
        (
            StorageError("ftp://me:pass@word@host:21/a: no; http://host/a?X-Sig=1&X-Amz-Signature=ab/c&n=2 neither"),
            3,
            "ftp://…@host:21/a: no; http://host/a?X-Sig=1&X-Amz-Signature=…&n=2 neither\n",
        ),
    ],
)
def test_failures_have_their_exit_code(
    error: BaseException,
    code: int,
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(sys.modules, "failing_command", Failing(error))  # type: ignore[arg-type]
    monkeypatch.setattr(cli, "COMMANDS", (cli.Command("fail", "fail", "failing_command"),))
    assert cli.main(["fail"]) == code
    assert capsys.readouterr() == ("", message)


def test_causes_are_told_with_v(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    error = StorageError("cannot read a.jsonl")
    error.__cause__ = ConnectionResetError("peer is gone")
    monkeypatch.setitem(sys.modules, "failing_command", Failing(error))  # type: ignore[arg-type]
    monkeypatch.setattr(cli, "COMMANDS", (cli.Command("fail", "fail", "failing_command"),))
    assert cli.main(["fail", "-v"]) == 3
    assert capsys.readouterr().err == "cannot read a.jsonl\n  caused by ConnectionResetError: peer is gone\n"


def test_the_catalog_comes_from_option_environment_or_default(monkeypatch: pytest.MonkeyPatch) -> None:
    def catalog(*words: str) -> str:
        parser = argparse.ArgumentParser()
        cli.add_common(parser)
        return str(parser.parse_args(words).catalog)

    monkeypatch.delenv("MIXTERA_CATALOG", raising=False)
    assert catalog() == ".mixtera"
    monkeypatch.setenv("MIXTERA_CATALOG", "/catalogs/a")
    assert catalog() == "/catalogs/a"
    assert catalog("--catalog", "b") == "b"
