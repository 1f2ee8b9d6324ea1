"""A login that a server refused is not tried again at once: who tries a wrong password every few minutes locks the
account out, with all its other programs.

    before(secret) -> log in -> accepted() | refused(secret)

What was refused is kept in a small file of the copy's, with when the next attempt may be: after 5 minutes, then after
three times as long each time, at most a day. Another password, user or server is tried at once. So that the file tells
nothing of the password it has a salted, slow digest of it (scrypt, RFC 7914); of a token, which is another one each
time, it has none, and time alone counts. `restante sync --login` tries whatever was refused.

Most runs find no such file: what reads and writes one is imported then.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..clock import Clock, Random
from .side import SideUnavailable

FIRST = 300.0
LONGEST = 86_400.0
"""Seconds until the next attempt: after the first refusal, and at most."""
FACTOR = 3
MOST_SAID = 200
"""Characters of the server's words that are kept."""


class LoginWaits(SideUnavailable):
    """The last login was refused, and it is too soon to try the same again."""

    code = "LOGIN-REFUSED"
    temporary = False


class Refusals:
    """Of one login of a copy. about: server and user, for people: a note about others counts for nothing. token: the
    secret is another one each time. at_once: try, whatever is noted. noting: called with each note."""

    def __init__(
        self,
        file: Path,
        about: str,
        clock: Clock,
        random: Random,
        *,
        token: bool = False,
        at_once: bool = False,
        noting: Callable[[], None] | None = None,
    ) -> None:
        self._file = file
        self._about = about
        self._clock = clock
        self._random = random
        self._token = token
        self._at_once = at_once
        self._noting = noting
        self._known: dict[str, Any] | None = None
        self._read = False

    @property
    def noted(self) -> bool:
        """The last login was refused: ask `before` before connecting. Costs an attempt to open a file, once."""
        return self._note() is not None

    def before(self, secret: str) -> None:
        """Raises LoginWaits where this secret is not to be tried now."""
        note, now = self._note(), self._clock.now()
        if note is None or self._at_once:
            return
        until = float(note["until"])
        if not now < until <= now + LONGEST:  # over; or the clock was set back
            return
        if not self._token and note["check"] != _check(secret, bytes.fromhex(note["salt"])):
            return
        times = int(note["times"])
        what = "this login" if self._token else "this password"
        raise LoginWaits(
            f"{self._about}: {what} was refused {'once' if times == 1 else f'{times} times'} ({note['said']}). "
            f"It is not tried again before {_instant(until)}, so that nobody is locked out.",
            "Correct it, or try now: restante sync --login",
        )

    def refused(self, secret: str, said: str) -> None:
        """Note that the server refused it."""
        note, now = self._note(), self._clock.now()
        salt = self._random(16)
        same = note is not None and (self._token or note["check"] == _check(secret, bytes.fromhex(note["salt"])))
        times = int(note["times"]) + 1 if note is not None and same else 1
        delay = min(LONGEST, FIRST * FACTOR ** min(times - 1, 10))
        self._known = {
            "about": self._about, "times": times, "until": now + delay, "said": said[:MOST_SAID], "salt": salt.hex(),
            "check": "" if self._token else _check(secret, salt),
        }  # fmt: skip
        import json

        from ..files import replace_file

        with suppress(OSError):  # a full disk: the next run tries again, as it would without this
            replace_file(self._file, json.dumps(self._known).encode("ascii"))
        if self._noting is not None:
            self._noting()

    def accepted(self) -> None:
        """All is well again."""
        if self._note() is not None:
            self._known = None
            with suppress(FileNotFoundError):
                os.unlink(self._file)  # noqa: PTH108 (it is a string here)

    def _note(self) -> dict[str, Any] | None:
        """What is noted about this login; None where nothing is, or nobody can read it."""
        if not self._read:
            self._read = True
            try:
                data = self._file.read_bytes()
            except OSError:
                return None
            import json

            try:
                note = json.loads(data)
                usable = note["about"] == self._about and float(note["until"]) >= 0 and int(note["times"]) > 0
                if (
                    usable
                    and bytes.fromhex(note["salt"])
                    and isinstance(note["check"], str)
                    and note["said"] is not None
                ):
                    self._known = note
            except (ValueError, KeyError, TypeError):
                return None  # nobody can understand it
        return self._known


def _check(secret: str, salt: bytes) -> str:
    """What a password is recognised by. Takes some 50 ms and 16 MB, on purpose."""
    import hashlib

    return hashlib.scrypt(secret.encode("utf-8"), salt=salt, n=1 << 14, r=8, p=1, dklen=32).hex()


def _instant(seconds: float) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")
