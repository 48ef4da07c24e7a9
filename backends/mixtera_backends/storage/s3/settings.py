"""What a spec and the environment say of how S3 is read; nothing of it is a secret."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Final

from mixtera.contracts.storage import Option, Options
from mixtera_backends.storage.options import in_force

OPTIONS: Final = (
    Option("endpoint_url", "text", "A server that is not AWS.", "AWS_ENDPOINT_URL"),
    Option("region", "text", "The region of the bucket.", "AWS_REGION"),
    Option("profile", "text", "A profile of `~/.aws`.", "AWS_PROFILE"),
    Option("anonymous", "flag", "Whether to read without credentials.", "AWS_SKIP_SIGNATURE"),
    Option("request_bytes", "bytes", "Bytes of one request at most.", "MIXTERA_S3_REQUEST_BYTES"),
    Option("concurrency", "count", "Requests in flight in each process.", "MIXTERA_S3_CONCURRENCY"),
    Option(
        "max_requests_per_second", "rate", "Requests of each process at most.", "MIXTERA_S3_MAX_REQUESTS_PER_SECOND"
    ),
    Option("max_bytes_per_second", "bytes", "Bytes that each process reads.", "MIXTERA_S3_MAX_BYTES_PER_SECOND"),
)
_LEFT_TO_BOTOCORE: Final = {
    "endpoint_url": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"),
    "region": ("AWS_REGION", "AWS_DEFAULT_REGION"),
    "profile": ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_ACCESS_KEY_ID"),
}
"""Options, and variables of the AWS tools that are stronger: botocore reads those by itself."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The options, with their defaults; None leaves it to botocore, or stands for no limit."""

    endpoint_url: str | None = None
    region: str | None = None
    profile: str | None = None
    anonymous: bool = False
    request_bytes: int = 4 << 20
    concurrency: int = 16
    max_requests_per_second: float | None = None
    max_bytes_per_second: int | None = None

    @classmethod
    def of(cls, options: Options) -> Settings:
        """The settings of this process now.

        Raises:
            StorageError: A variable of the environment holds something else than it should.
        """
        found = in_force(OPTIONS, options)
        for name, variables in _LEFT_TO_BOTOCORE.items():
            if any(os.environ.get(variable) for variable in variables):
                found.pop(name, None)
        return cls(**found)  # type: ignore[arg-type]
