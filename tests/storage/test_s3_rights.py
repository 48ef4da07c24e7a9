"""With whose rights objects are read: credentials that are renewed, that cannot be, that are not there."""

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from mixtera.errors import StorageError
from mixtera_backends.storage.s3 import S3Storage
from tests.storage.objects import new_root
from tests.storage.weed import KEY, SECRET

DATA = bytes(range(256)) * 400


@pytest.fixture
def url(objects, s3, monkeypatch, tmp_path):
    """An object; the environment has no keys any more, and a home without a profile."""
    url = f"{new_root()}/a.bin"
    objects.put(url, DATA)
    monkeypatch.setenv("MIXTERA_S3_CACHE_MB", "0")
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    return url


@pytest.fixture
def process(monkeypatch, tmp_path):
    """A program that a profile asks for keys, which hold for a while; what it says."""
    said = tmp_path / "said.json"
    say(said, "2101-01-01T00:00:00+05:30")
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / "config").write_text(f"[profile research]\ncredential_process = /bin/cat {said}\n")
    monkeypatch.setenv("AWS_PROFILE", "research")
    return said


def say(said, until):
    said.write_text(json.dumps({"Version": 1, "AccessKeyId": KEY, "SecretAccessKey": SECRET, "Expiration": until}))


def pinned(url, monkeypatch):
    """The object as it was indexed, by somebody who had keys: nothing asks for it before it is read."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    storage = S3Storage()
    access = storage.pinned(storage.stat(url)).random_access(url)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    return access


def head(access):
    return access.gather(np.array([0]), np.array([1000])).to_pylist()


def test_keys_that_hold_for_a_while_are_taken(client, url, process):
    """Those of roles, of logins, of programs: all have a time at which they end, in any time zone."""
    assert head(S3Storage().random_access(url)) == [DATA[:1000]]


def test_keys_that_cannot_be_renewed_end_the_read_at_once(url, process, monkeypatch):
    monkeypatch.setattr("mixtera_backends.storage.s3.clients.PROCESS.may_use_obstore", False)
    say(process, (datetime.now(UTC) + timedelta(seconds=200)).isoformat())  # so soon that each request asks for others
    access = S3Storage().random_access(url)
    assert head(access) == [DATA[:1000]]
    process.unlink()
    with pytest.raises(StorageError, match=rf"{url} cannot be read: the AWS credentials cannot be renewed: .*log in"):
        head(access)


def test_keys_that_have_ended_when_they_come_are_refused(client, url, process, monkeypatch):
    access = pinned(url, monkeypatch)
    say(process, "2001-01-01T00:00:00Z")
    with pytest.raises(StorageError, match=rf"{url} cannot be read: the AWS credentials cannot be renewed: .*expired"):
        head(access)


def test_a_read_without_keys_ends_at_once(client, url, monkeypatch):
    with pytest.raises(StorageError, match=r"s3://mix.* cannot be read: there are no AWS credentials"):
        head(pinned(url, monkeypatch))


@pytest.mark.parametrize(
    "endpoint", ["http://user:hunter2@127.0.0.1:1", "https://user:hunter2@host.invalid", "user:hunter2@127.0.0.1"]
)
def test_a_password_in_the_endpoint_is_refused_and_not_repeated(url, process, monkeypatch, endpoint):
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    with pytest.raises(StorageError, match=r"AWS_ENDPOINT_URL") as error:
        S3Storage().stat(url)
    assert "hunter2" not in str(error.value)


def test_certificates_that_are_not_there_are_named(url, monkeypatch, tmp_path):
    access = pinned(url, monkeypatch)
    monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "none.pem"))
    with pytest.raises(StorageError, match=r"cannot be read from .*none\.pem: .*AWS_CA_BUNDLE"):
        head(access)


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:99999", "ftp://127.0.0.1"])
def test_an_endpoint_that_is_none_ends_the_read_at_once(url, process, monkeypatch, endpoint):
    monkeypatch.setattr("mixtera_backends.storage.s3.clients.PROCESS.may_use_obstore", False)
    access = pinned(url, monkeypatch)
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    with pytest.raises(StorageError, match=rf"not configured well: .*{endpoint}.*AWS_ENDPOINT_URL \(such"):
        head(access)
