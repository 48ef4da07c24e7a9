"""`storage:` of a spec: what it gives to whom, and that nothing of it is a secret."""

from pathlib import Path

import pytest

from mixtera.errors import SpecError, StorageError
from mixtera.registry import storage_of
from mixtera.spec import load

HEAD = 'version: 1\nsources: {a: {path: "s3://bucket/*.jsonl", content: text}}\nmixture: {by: dataset}\n'


def options(directory: Path, text: str):
    path = directory / "spec.yaml"
    path.write_text(HEAD + text)
    return load(str(path)).sources[0].storage


@pytest.mark.parametrize(
    ("written", "meant"),
    [("8MiB", 8 << 20), ("8 mib", 8 << 20), ("8MB", 8_000_000), ("64k", 64_000), ("64KiB", 65_536), ("4096", 4096)],
)
def test_bytes_may_have_a_unit(tmp_path, written, meant):
    assert options(tmp_path, f"storage: {{s3: {{request_bytes: {written}}}}}\n") == (
        ("s3", (("request_bytes", meant),)),
    )


def test_without_the_section_there_are_none(tmp_path):
    assert options(tmp_path, "") == ()


def test_the_most_exact_option_holds(tmp_path, monkeypatch):
    for variable in ("MIXTERA_S3_CONCURRENCY", "MIXTERA_S3_REQUEST_BYTES"):
        monkeypatch.delenv(variable, raising=False)
    given = options(
        tmp_path,
        "storage:\n"
        "  s3: {request_bytes: 1MiB, concurrency: 3}\n"
        "  s3://bucket/: {concurrency: 5}\n"
        "  s3://bucket/web/: {concurrency: 7}\n"
        "  lustre: {stripe_bytes: 2MiB}\n",
    )
    found = {
        url: (profile.request_bytes, profile.concurrency)
        for url in ("s3://other/a", "s3://bucket/a", "s3://bucket/web/a")
        for profile in [storage_of(url, given).profile()]
    }
    assert found == {
        "s3://other/a": (1 << 20, 3),
        "s3://bucket/a": (1 << 20, 5),
        "s3://bucket/web/a": (1 << 20, 7),
    }
    assert storage_of("s3://bucket/a", given) is storage_of("s3://bucket/b", given)
    assert storage_of("/a", given) is storage_of("/a")


def test_the_environment_has_the_last_word(tmp_path, monkeypatch):
    given = options(tmp_path, "storage: {s3: {request_bytes: 1MiB, concurrency: 3}}\n")
    monkeypatch.setenv("MIXTERA_S3_REQUEST_BYTES", "65536")
    profile = storage_of("s3://bucket/a", given).profile()
    assert (profile.request_bytes, profile.concurrency) == (65_536, 3)
    monkeypatch.setenv("MIXTERA_S3_REQUEST_BYTES", "many")
    with pytest.raises(StorageError, match="MIXTERA_S3_REQUEST_BYTES is 'many': it must be a number of bytes from 1"):
        storage_of("s3://bucket/a", given).profile()


@pytest.mark.parametrize(
    "key", ["key", "secret", "token", "PASSWORD", "aws_secret_access_key", "sas_token", "account_key", "api-key"]
)
@pytest.mark.parametrize("storage", ["s3", "memory", "nosuch"])
def test_secrets_are_refused_and_not_repeated(tmp_path, storage, key):
    with pytest.raises(SpecError) as caught:
        options(tmp_path, f"storage: {{{storage}: {{{key}: hush-hush}}}}\n")
    assert "looks like a secret, and specs hold none" in str(caught.value)
    assert "hush" not in str(caught.value)


def test_options_of_fsspec_are_handed_on(tmp_path):
    given = options(tmp_path, "storage: {memory: {use_listings_cache: true, depth: 3, monkey: a}}\n")
    assert given == (("memory", (("use_listings_cache", True), ("depth", 3), ("monkey", "a"))),)
