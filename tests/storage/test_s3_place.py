"""Where requests go: what is known without botocore's client is what that client says, and a stream needs none."""

import os
from contextlib import closing, suppress

import botocore.loaders
import botocore.session
import numpy as np
import pytest
from botocore.exceptions import BotoCoreError

from mixtera.errors import StorageError
from mixtera_backends.storage.s3 import S3Storage
from mixtera_backends.storage.s3.place import Place, known_place
from mixtera_backends.storage.s3.settings import Settings
from tests.storage.objects import new_root

LOADER = botocore.loaders.create_loader()
PROFILE = "[default]\nregion = us-west-2\n"
SERVICES = "[services mine]\ns3 =\n  endpoint_url = http://service:1\n"
HERE = "http://127.0.0.1:9"

KNOWN = [
    ({}, PROFILE, {}),
    ({"AWS_DEFAULT_REGION": "eu-central-1"}, PROFILE, {}),
    ({}, PROFILE, {"region": "mx-central-1"}),
    ({}, PROFILE + "s3 =\n  addressing_style = path\n", {}),
    ({"AWS_ENDPOINT_URL": HERE}, "", {"region": "garage"}),
    ({"AWS_ENDPOINT_URL": "http://127.0.0.1:8", "AWS_ENDPOINT_URL_S3": HERE}, "", {}),
    ({"AWS_ENDPOINT_URL": "http://127.0.0.1:8"}, PROFILE, {"endpoint_url": HERE}),
    ({"AWS_ENDPOINT_URL": HERE, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"}, PROFILE, {}),
    ({}, PROFILE + "endpoint_url = http://profile:1\n", {}),
    ({}, PROFILE + "services = mine\nendpoint_url = http://profile:1\n" + SERVICES, {}),
    ({}, "[default]\ns3 =\n  addressing_style = virtual\n", {"endpoint_url": HERE}),
    ({}, "", {"endpoint_url": "http://[::1]:9000/"}),
]
LEFT_TO_THE_CLIENT = [
    ({}, "", {"region": "us-gov-west-1"}),
    ({}, "", {"region": "cn-north-1"}),
    ({}, "", {"region": "fips-us-east-1", "endpoint_url": HERE}),
    ({"AWS_USE_FIPS_ENDPOINT": "true"}, PROFILE, {}),
    ({"AWS_USE_DUALSTACK_ENDPOINT": "true"}, PROFILE, {}),
    ({}, PROFILE + "s3 =\n  use_dualstack_endpoint = true\n", {}),
    ({}, PROFILE + "s3 =\n  use_accelerate_endpoint = true\n", {}),
]
BROKEN = [
    ({}, PROFILE, {"endpoint_url": "nonsense"}),
    ({}, PROFILE, {"region": "no region"}),
    ({}, PROFILE + "s3 =\n  addressing_style = silly\n", {"endpoint_url": HERE}),
    ({}, PROFILE + "services = other\n" + SERVICES, {}),
]


@pytest.fixture
def session(request, tmp_path, monkeypatch):
    """A session of botocore in an environment and with a profile; and the settings."""
    variables, profile, settings = request.param
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    (tmp_path / "config").write_text(profile)
    files = {"AWS_CONFIG_FILE": "config", "AWS_SHARED_CREDENTIALS_FILE": "credentials"}
    for name, value in {**{name: str(tmp_path / file) for name, file in files.items()}, **variables}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    opened = botocore.session.Session()
    opened.register_component("data_loader", LOADER)  # what it has loaded serves all tests
    return opened, Settings(**settings)


def of_client(session, settings):
    where = {"region_name": settings.region, "endpoint_url": settings.endpoint_url}
    meta = session.create_client("s3", **where).meta
    return Place(meta.endpoint_url, meta.region_name, (meta.config.s3 or {}).get("addressing_style"))


@pytest.mark.parametrize("session", KNOWN, indirect=True)
def test_what_is_known_is_what_the_client_says(session):
    assert known_place(*session) == of_client(*session)


@pytest.mark.parametrize("session", LEFT_TO_THE_CLIENT, indirect=True)
def test_what_only_the_client_knows_is_left_to_it(session):
    assert known_place(*session) is None
    assert of_client(*session).endpoint


@pytest.mark.parametrize("session", BROKEN, indirect=True)
def test_what_the_client_refuses_is_not_taken_for_a_place(session):
    with pytest.raises((BotoCoreError, ValueError)):
        of_client(*session)
    with suppress(BotoCoreError):
        assert known_place(*session) is None


def test_what_a_plan_holds_is_read_without_a_client_of_botocore(objects, s3, monkeypatch):
    url, data = f"{new_root()}/a.bin", bytes(range(256)) * 4096
    objects.put(url, data)
    storage = S3Storage()
    file = storage.stat(url)
    made = []
    create = botocore.session.Session.create_client
    monkeypatch.setattr(
        botocore.session.Session, "create_client", lambda *words, **more: made.append(words) or create(*words, **more)
    )
    monkeypatch.setenv("MIXTERA_S3_CONCURRENCY", "7")  # another environment has clients of its own
    starts = np.array([0, 500_000])
    pinned = storage.pinned(file).stretched(starts[1:], starts[1:] + 100_000, alone=True)
    with pinned.open(url) as source:
        assert source.read(6) == data[:6]
    with closing(pinned.random_access(url)) as access:
        access.expect(starts, starts + 100_000)
        found = access.gather(starts, starts + 100_000).to_pylist()
    assert found == [data[start : start + 100_000] for start in starts]
    assert not made
    assert storage.stat(url) == file
    assert len(made) == 1


def test_an_endpoint_that_is_none_is_an_error_that_says_so(s3, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "nonsense")
    with pytest.raises(StorageError, match=r"S3 is not configured well: Invalid endpoint: nonsense"):
        S3Storage().random_access("s3://mix/a")
