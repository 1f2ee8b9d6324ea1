"""Access tokens that refresh themselves (RFC 6749 6): endpoint and client in the configuration, the token in a file.

The file has mode 0600 and is written whole or not at all. It remembers which refresh token it was begun with, so that
a new one in the configuration is used at once; where a provider gives a new refresh token with each access token, the
newest stands there too. Two processes that refresh at once take turns by a lock on it.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from ..files import replace_file
from .config import OAuth2Table
from .secrets import Kind, ProviderUnavailable, Secret, SecretUnavailable

EARLY = 60.0
"""Seconds before its end from which on a token is not used any more: clocks differ, logins take time."""

UNSAID = 300.0
"""Seconds that a token is used whose provider did not say how long it lives."""

HTTP_TIMEOUT = 30.0
MAX_ANSWER = 256 << 10


class TokenNotKept(SecretUnavailable):
    """The disk is full, or fails."""

    code = "TOKEN-NOT-KEPT"
    temporary = True


class Kept(msgspec.Struct, frozen=True):
    """What the file holds. began: of which configured refresh token this came (a hash). expires: seconds UTC."""

    began: str
    access_token: str
    expires: float
    refresh_token: str = ""


class RefreshedToken:
    """A secret that is an access token, got by a refresh token."""

    kind = Kind.TOKEN

    def __init__(self, table: OAuth2Table, refresh: Secret, cache: Path, now: Callable[[], float]) -> None:
        self._table = table
        self._refresh = refresh
        self._cache = cache
        self._now = now
        self._lock = asyncio.Lock()
        self._given = ""

    async def get(self, *, fresh: bool = False) -> str:
        refused = self._given if fresh else ""
        async with self._lock:
            configured = await self._refresh.get()
            self._given = await asyncio.to_thread(self._current, configured, refused)
            return self._given

    def _current(self, configured: str, refused: str) -> str:
        """The token that is kept, or a new one. Waits for the file's lock and the provider: for a thread."""
        with self._keeping(), _locked(self._cache):
            began = hashlib.sha256("\0".join((self._table.client_id, configured)).encode()).hexdigest()
            found = self._read()
            kept = found if found is not None and found.began == began else Kept(began, "", 0.0)
            if kept.access_token and kept.access_token != refused and self._now() < kept.expires - EARLY:
                return kept.access_token
            # A full disk shows itself now, not after the provider has put a new refresh token in the old one's place:
            # that one could not be kept, and nobody would get in any more.
            replace_file(self._cache, msgspec.json.encode(found or kept))
            new = self._ask(kept, configured)
            replace_file(self._cache, msgspec.json.encode(new))
            return new.access_token

    @contextmanager
    def _keeping(self) -> Iterator[None]:
        """What the disk does to the file is a refusal: TokenNotKept for an OSError."""
        try:
            yield
        except OSError as error:
            raise TokenNotKept(
                f"The access token cannot be kept in {self._cache} ({error.strerror}).", "Is the disk full?"
            ) from error

    def _read(self) -> Kept | None:
        try:
            return msgspec.json.decode(self._cache.read_bytes(), type=Kept)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError) as error:
            raise SecretUnavailable(
                f"The kept token in {self._cache} cannot be read ({type(error).__name__}).", "Remove the file."
            ) from error

    def _ask(self, kept: Kept, configured: str) -> Kept:
        form = {
            "grant_type": "refresh_token",
            "refresh_token": kept.refresh_token or configured,
            "client_id": self._table.client_id,
        }
        if self._table.client_secret:
            form["client_secret"] = self._table.client_secret
        if self._table.scope:
            form["scope"] = self._table.scope
        said = post_form(self._table.endpoint, form)
        token, lives = said.get("access_token"), said.get("expires_in", UNSAID + EARLY)
        try:
            seconds = float(lives)  # one large provider writes it as a string
        except (TypeError, ValueError, OverflowError):
            seconds = UNSAID + EARLY
        if not math.isfinite(seconds):  # JSON has no such number: the file could not be read again
            seconds = UNSAID + EARLY
        if not isinstance(token, str) or not token:
            raise SecretUnavailable("The token endpoint's answer holds no access token.")
        rotated = said.get("refresh_token")
        newest = rotated if isinstance(rotated, str) and rotated != configured else kept.refresh_token
        return Kept(kept.began, token, self._now() + seconds, newest)


def post_form(url: str, form: dict[str, str]) -> dict[str, Any]:
    """POST a form and read a JSON object (its values unchecked: Any). No redirect is followed: it would carry secrets
    elsewhere. Raises SecretUnavailable, ProviderUnavailable."""
    import http.client
    import urllib.error
    import urllib.parse
    import urllib.request

    class NoRedirect(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *args: object, **kwargs: object) -> None:
            return None

    request = urllib.request.Request(url, urllib.parse.urlencode(form).encode(), {"Accept": "application/json"})
    try:
        try:
            with urllib.request.build_opener(NoRedirect).open(request, timeout=HTTP_TIMEOUT) as answer:
                return _object(answer.read(MAX_ANSWER))
        except urllib.error.HTTPError as error:
            with error:
                raise _refused(error.code, error.read(MAX_ANSWER)) from error
    except http.client.HTTPException as error:
        raise ProviderUnavailable(f"The token endpoint's answer is no HTTP ({type(error).__name__}).") from error
    except OSError as error:  # URLError, time-outs, TLS: RFC 6749 has nothing to say about them
        raise ProviderUnavailable(f"The token endpoint cannot be reached ({_reason(error)}).") from error


def _object(data: bytes) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(data)
    except msgspec.DecodeError as error:
        raise SecretUnavailable("The token endpoint's answer is no JSON.") from error
    if not isinstance(found, dict):
        raise SecretUnavailable("The token endpoint's answer is no JSON object.")
    return found


def _refused(status: int, body: bytes) -> SecretUnavailable:
    """RFC 6749 5.2."""
    if status >= 500 or status == 429:
        return ProviderUnavailable(f"The token endpoint answers {status} now.")
    try:
        said = str(_object(body).get("error", ""))
    except SecretUnavailable:
        said = ""
    shown = "".join(c for c in said if c.isascii() and c.isprintable())[:100]
    text = f"The token endpoint refused ({status}{': ' + shown if shown else ''})."
    if shown == "invalid_grant":
        return SecretUnavailable(text, "The refresh token is not good any more: allow access anew at your provider.")
    return SecretUnavailable(text, "Check client_id, client_secret and endpoint.")


def _reason(error: OSError) -> str:
    inner = getattr(error, "reason", None)
    return str(getattr(inner, "strerror", None) or error.strerror or inner or type(error).__name__)


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    """Hold a lock that stands for `file`. Another process holds it for as long as a provider takes to answer."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle = os.open(file.with_name(f"{file.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
