"""Where requests go, as far as it is known without botocore's client, which takes 15 MB and 0.1 s to be made."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from mixtera_backends.storage.s3.settings import Settings

if TYPE_CHECKING:
    from botocore.session import Session

DEFAULT_REGION: Final = "us-east-1"
_VARIABLES: Final = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
_ORDINARY_REGION: Final = re.compile(r"(us|eu|ap|sa|ca|me|af|il|mx)-[a-z]+-\d+")
"""Regions of the partition `aws`, whose hosts have names of one form."""
_OTHER_HOSTS: Final = ("use_dualstack_endpoint", "use_fips_endpoint")
_ACCELERATED: Final = "use_accelerate_endpoint"
_STYLES: Final = (None, "auto", "virtual", "path")


class Place(NamedTuple):
    """Where requests go.

    Attributes:
        endpoint: The URL of the server.
        region: The region.
        style: How the bucket is addressed: `path`, `virtual`; None or `auto` leaves it to the client.
    """

    endpoint: str
    region: str
    style: str | None


def known_place(session: Session, settings: Settings) -> Place | None:
    """What botocore's client would say of itself; None where only that knows, or has something to complain about.

    Raises:
        ValueError: The configuration is broken; or another error of botocore.
    """
    from botocore.utils import is_valid_endpoint_url, is_valid_ipv6_endpoint_url, validate_region_name

    region = settings.region or session.get_config_variable("region") or DEFAULT_REGION
    validate_region_name(region)
    s3 = session.get_config_variable("s3") or {}
    style = s3.get("addressing_style")
    if style not in _STYLES or "fips" in region:
        return None
    profile: dict[str, Any] = session.get_scoped_config()
    services = session.full_config.get("services", {}).get(profile.get("services"))
    if "services" in profile and not services:
        return None
    endpoint = settings.endpoint_url or _configured_endpoint(session, profile, services or {})
    if endpoint:
        is_valid = is_valid_endpoint_url(endpoint) or is_valid_ipv6_endpoint_url(endpoint)
        return Place(endpoint, region, style) if is_valid else None
    if any(s3.get(name) or session.get_config_variable(name) for name in _OTHER_HOSTS) or s3.get(_ACCELERATED):
        return None
    return Place(f"https://s3.{region}.amazonaws.com", region, style) if _ORDINARY_REGION.fullmatch(region) else None


def _configured_endpoint(session: Session, profile: dict[str, Any], services: dict[str, Any]) -> str | None:
    """The endpoint that the environment or a profile names, in the order of the AWS tools."""
    if session.get_config_variable("ignore_configured_endpoint_urls"):
        return None
    named = next(filter(None, map(os.environ.get, _VARIABLES)), None)
    found: str | None = named or services.get("s3", {}).get("endpoint_url") or profile.get("endpoint_url")
    return found
