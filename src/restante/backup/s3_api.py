"""The few requests of S3 that obstore does not make: what versions there are, and removing one for good.

Signed by AWS Signature Version 4 (https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html), with
static credentials. One connection a request: there is one for each thousand objects.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import ssl
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote, urlsplit
from xml.etree import ElementTree

from .s3_settings import Credentials, Place

LIMIT = 60.0
"""Seconds without an octet."""
MOST = 32 << 20
"""Octets of an answer: a thousand versions have about 500 kB."""


class ApiFailed(Exception):
    """An answer that is no success, as text with its status and body; or why there was none."""


@dataclass(frozen=True, slots=True)
class Version:
    """One version of an object. marker: it says that the object is removed, and has no octets. at: seconds UTC, by
    the server's clock."""

    path: str
    id: str
    marker: bool
    latest: bool
    size: int
    etag: str
    at: float


class Api:
    """Requests to the bucket of a place that has credentials."""

    def __init__(self, place: Place, credentials: Credentials, now: Callable[[], datetime] = lambda: datetime.now(UTC)):
        self._credentials = credentials
        self._region = place.region
        self._now = now
        endpoint = urlsplit(place.endpoint or f"https://s3.{place.region}.amazonaws.com")
        self._host = endpoint.netloc
        self._secure = endpoint.scheme == "https"
        self._root = "" if place.virtual else f"/{place.bucket}"

    def request(
        self, method: str, path: str, query: Mapping[str, str], body: bytes = b"", headers: Mapping[str, str] = {}
    ) -> bytes:
        """The answer's body. path: of the object, "" for the bucket. Raises ApiFailed."""
        where = quote(f"{self._root}/{path}" if path else self._root or "/", safe="/-_.~")
        asked = "&".join(f"{quote(key, safe='-_.~')}={quote(query[key], safe='-_.~')}" for key in sorted(query))
        signed = sign(self._credentials, self._region, method, self._host, where, asked, body, self._now(), headers)
        kind = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
        connection = kind(self._host, timeout=LIMIT)
        try:
            connection.request(method, f"{where}?{asked}" if asked else where, body or None, signed)
            answer = connection.getresponse()
            data = answer.read(MOST)
        except (OSError, http.client.HTTPException, ssl.SSLError) as error:
            raise ApiFailed(f"error sending request: {error}") from error
        finally:
            connection.close()
        if answer.status // 100 != 2:
            raise ApiFailed(f"status code: {answer.status} {data[:4000].decode('utf-8', 'replace')}")
        return data

    def versions(self, prefix: str, after: tuple[str, str]) -> tuple[list[Version], tuple[str, str] | None]:
        """Up to a thousand versions of objects whose names begin so, those of a name from the newest to the oldest;
        and after what (path, version) the next ones come, None where these are the last. Raises ApiFailed."""
        query = {"versions": "", "prefix": prefix, "max-keys": "1000"}
        if after[0]:
            query |= {"key-marker": after[0], "version-id-marker": after[1]}
        root = _parse(self.request("GET", "", query))
        found = [_version(each) for each in root if _tag(each) in ("Version", "DeleteMarker")]
        if _text(root, "IsTruncated") != "true":
            return found, None
        return found, (_text(root, "NextKeyMarker"), _text(root, "NextVersionIdMarker"))

    def versioning(self) -> bool:
        """Whether the bucket keeps what is written over or removed. Raises ApiFailed."""
        return _text(_parse(self.request("GET", "", {"versioning": ""})), "Status") == "Enabled"

    def lock_mode(self) -> str:
        """COMPLIANCE or GOVERNANCE, as the bucket locks what is put there; "" where it locks nothing. Raises
        ApiFailed."""
        for element in _parse(self.request("GET", "", {"object-lock": ""})).iter():
            if _tag(element) == "Mode":
                return element.text or ""
        return ""

    def lock(self, path: str, version: str, mode: str, until: datetime) -> None:
        """Let nobody remove a version before that instant; one that is locked for longer stays so. Raises ApiFailed."""
        at = until.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        body = f"<Retention><Mode>{mode}</Mode><RetainUntilDate>{at}</RetainUntilDate></Retention>".encode()
        headers = {"content-md5": base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()}
        self.request("PUT", path, {"retention": "", "versionId": version}, body, headers)

    def locked_until(self, path: str, version: str) -> datetime | None:
        """Until when nobody can remove a version; None where it is not locked. Raises ApiFailed."""
        try:
            text = _text(_parse(self.request("GET", path, {"retention": "", "versionId": version})), "RetainUntilDate")
            return datetime.fromisoformat(text.replace("Z", "+00:00")) if text else None
        except ApiFailed as error:
            if "NoSuchObjectLockConfiguration" in str(error):
                return None
            raise
        except ValueError as error:
            raise ApiFailed(f"the answer has no time: {error}") from error

    def remove_version(self, path: str, version: str) -> None:
        """For good. Raises ApiFailed, with AccessDenied where it is locked."""
        self.request("DELETE", path, {"versionId": version})


def sign(
    credentials: Credentials,
    region: str,
    method: str,
    host: str,
    path: str,
    query: str,
    body: bytes,
    now: datetime,
    headers: Mapping[str, str] = {},
) -> dict[str, str]:
    """All headers of a signed request. path, query: as they are sent, the query's keys sorted. Pure."""
    at = now.strftime("%Y%m%dT%H%M%SZ")
    hashed = hashlib.sha256(body).hexdigest()
    sent = {"host": host, "x-amz-content-sha256": hashed, "x-amz-date": at, **headers}
    if credentials.token:
        sent["x-amz-security-token"] = credentials.token
    names = sorted(sent)
    canonical = [method, path, query, *(f"{name}:{sent[name]}" for name in names), "", ";".join(names), hashed]
    scope = f"{at[:8]}/{region}/s3/aws4_request"
    digest = hashlib.sha256("\n".join(canonical).encode()).hexdigest()
    key = f"AWS4{credentials.secret}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, f"AWS4-HMAC-SHA256\n{at}\n{scope}\n{digest}".encode(), "sha256").hex()
    sent["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={credentials.id}/{scope},SignedHeaders={';'.join(names)},Signature={signature}"
    )
    return sent


def _parse(data: bytes) -> ElementTree.Element:
    try:
        return ElementTree.fromstring(data)
    except ElementTree.ParseError as error:
        raise ApiFailed(f"the answer is no XML: {error}") from error


def _tag(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]


def _text(element: ElementTree.Element, name: str) -> str:
    return next((each.text or "" for each in element if _tag(each) == name), "")


def _version(element: ElementTree.Element) -> Version:
    try:
        at = datetime.fromisoformat(_text(element, "LastModified").replace("Z", "+00:00")).timestamp()
        size = int(_text(element, "Size") or 0)
    except ValueError as error:
        raise ApiFailed(f"the answer has no times or sizes: {error}") from error
    marker = _tag(element) == "DeleteMarker"
    latest = _text(element, "IsLatest") == "true"
    return Version(_text(element, "Key"), _text(element, "VersionId"), marker, latest, size, _text(element, "ETag"), at)


def pages(api: Callable[[tuple[str, str]], tuple[list[Version], tuple[str, str] | None]]) -> Iterator[list[Version]]:
    """All pages of a listing."""
    after: tuple[str, str] | None = ("", "")
    while after is not None:
        found, after = api(after)
        yield found
