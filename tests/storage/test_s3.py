import pytest

from mixtera.testing.storage import StorageLaws
from mixtera_backends.storage.s3 import S3Storage
from tests.storage.objects import Objects, new_root


@pytest.fixture(scope="session")
def objects(weed):
    return Objects(weed)


class TestS3(StorageLaws):
    storage = S3Storage()

    @pytest.fixture
    def root(self, s3, objects):
        self.objects = objects
        return new_root()

    def put(self, url, data):
        self.objects.put(url, data)
