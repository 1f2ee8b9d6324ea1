"""What must be known of an S3-compatible bucket before it is first spoken to: where it is, and who we are there.

    s3://bucket/prefix  +  [backup] endpoint, region, ...  +  AWS_* of the environment  ->  Place, Credentials

The configuration stands above the environment. Must not know: obstore, HTTP.
"""

from __future__ import annotations

import configparser
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from .errors import BackupRefusal
from .location import NAME

SCHEME = "s3://"
REGION = "us-east-1"
"""Where none is named: what servers of one's own expect, unless they are told otherwise."""

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]\Z")
_REGION = re.compile(r"[a-z0-9-]{1,40}\Z")


@dataclass(frozen=True, slots=True)
class Remote:
    """What a configuration says of S3. Empty: what the environment says. allow_http: also to others than this
    machine. environment: AWS_* are read from it."""

    endpoint: str = ""
    region: str = ""
    credentials_file: str = ""
    allow_http: bool = False
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)


@dataclass(frozen=True, slots=True)
class Credentials:
    """Static ones. token: of a session, empty as a rule."""

    id: str
    secret: str = field(repr=False)
    token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Place:
    """A bucket and the prefix below which everything lies, without a slash at its end. endpoint: without one; empty
    for Amazon's. credentials: None where the machine's role gives them."""

    bucket: str
    prefix: str
    endpoint: str
    region: str
    credentials: Credentials | None

    @property
    def url(self) -> str:
        """As a person wrote it."""
        return f"{SCHEME}{self.bucket}{'/' + self.prefix if self.prefix else ''}"

    @property
    def plain_http(self) -> bool:
        return self.endpoint.startswith("http://")

    @property
    def virtual(self) -> bool:
        """Whether the endpoint's host names the bucket; else the path does."""
        return (urlsplit(self.endpoint).hostname or "").startswith(self.bucket + ".")


def place_of(said: str, remote: Remote) -> Place:
    """The place that `s3://bucket/prefix` is. Raises BackupRefusal."""
    bucket, _, prefix = said.removeprefix(SCHEME).partition("/")
    prefix = prefix.rstrip("/")
    if not _BUCKET.match(bucket) or (prefix and not NAME.match(prefix)):
        raise BackupRefusal(
            f"{said} names no bucket.", "Write s3://BUCKET/PREFIX: lower-case letters, digits, hyphens and dots."
        )
    env = remote.environment
    endpoint = remote.endpoint or env.get("AWS_ENDPOINT_URL_S3", "") or env.get("AWS_ENDPOINT_URL", "")
    endpoint = _endpoint(endpoint.rstrip("/"), remote.allow_http) if endpoint else ""
    region = remote.region or env.get("AWS_REGION", "") or env.get("AWS_DEFAULT_REGION", "") or REGION
    if not _REGION.match(region):
        raise BackupRefusal(f"{region} is no region.", "Set backup.region to what the provider calls it.")
    return Place(bucket, prefix, endpoint, region, _credentials(remote, bool(endpoint)))


def _endpoint(endpoint: str, allow_http: bool) -> str:
    try:
        parts = urlsplit(endpoint)
        host = parts.hostname or ""
        right = parts.scheme in ("http", "https") and host and not (parts.path or parts.query or parts.username)
        parts.port  # noqa: B018 - raises ValueError where it is none
    except ValueError:
        right = False
    if not right:
        raise BackupRefusal(
            f"{endpoint} is no address of an S3 server.", "Write backup.endpoint like https://s3.example.com:9000."
        )
    if parts.scheme == "http" and not allow_http and not _loopback(host):
        raise BackupRefusal(
            f"{endpoint} is not encrypted: whoever is on the way could remove the backup.",
            "Use https, or set backup.allow_http = true where the network is your own.",
        )
    return endpoint


def _loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _credentials(remote: Remote, own_server: bool) -> Credentials | None:
    env = remote.environment
    file = remote.credentials_file
    if not file and not env.get("AWS_ACCESS_KEY_ID"):
        file = env.get("AWS_SHARED_CREDENTIALS_FILE", "")
    if file:
        return read_credentials(Path(file), env.get("AWS_PROFILE", "default"))
    if env.get("AWS_ACCESS_KEY_ID") and env.get("AWS_SECRET_ACCESS_KEY"):
        return Credentials(env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"], env.get("AWS_SESSION_TOKEN", ""))
    if own_server and not any(env.get(name) for name in ROLES):
        raise BackupRefusal(
            "There are no credentials for the bucket.",
            "Set backup.credentials_file, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment.",
        )
    return None


ROLES = ("AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI")
"""Variables of the environment that give a machine its role."""


def read_credentials(path: Path, profile: str) -> Credentials:
    """Those of a profile in a file as Amazon's tools write it. Raises BackupRefusal, also where others may read it."""
    try:
        with path.open("rb") as stream:
            status = os.fstat(stream.fileno())
            text = stream.read(1 << 16).decode("utf-8", "replace")
    except OSError as error:
        raise BackupRefusal(f"{path} cannot be read ({error.strerror}).", "Check its name and rights.") from error
    if status.st_mode & 0o077 or status.st_uid not in (0, os.geteuid()):
        raise BackupRefusal(f"{path} can be read or changed by others.", f"Run: chmod 600 {path}")
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(text)
        section = parser[profile]
        return Credentials(
            section["aws_access_key_id"], section["aws_secret_access_key"], section.get("aws_session_token", "")
        )
    except (configparser.Error, KeyError) as error:
        raise BackupRefusal(
            f"{path} has no credentials of {profile}.",
            f"Write lines: [{profile}], aws_access_key_id = ..., aws_secret_access_key = ...",
        ) from error
