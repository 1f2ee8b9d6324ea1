"""Passwords and access tokens: from a command, a file, the system's keyring, or an OAuth2 provider.

A `Secret` is asked when a server wants it, not before: a run that finds nothing to do over an open connection asks
nothing. A server that refuses a token is told to the secret by asking again with `fresh`, once.

    endpoint + refresh token --HTTPS--> access token, kept in a file of mode 0600 until shortly before it expires

Nothing secret is ever put into an error's text, an argument list or a log.
"""

from __future__ import annotations

import asyncio
import os
import shlex
import stat
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Any, Protocol

from ..errors import Refusal
from .config import LoginTable, expand

COMMAND_TIMEOUT = 120.0
"""Seconds that a command may take: a person may have to type a passphrase."""

GRACE = 0.2
"""Seconds for a command to end that has said what it had to say, or is not waited for any more."""

MAX_SECRET = 64 << 10
"""Octets read of a command or file."""


class SecretUnavailable(Refusal):
    """A password or token cannot be had."""

    code = "SECRET-UNAVAILABLE"


class ProviderUnavailable(SecretUnavailable):
    """The token's provider cannot be reached now."""

    code = "PROVIDER-UNAVAILABLE"
    temporary = True


class Kind(Enum):
    PASSWORD = "password"
    TOKEN = "token"
    """An access token: for OAUTHBEARER or XOAUTH2."""


class Secret(Protocol):
    """One way to a password or token."""

    kind: Kind

    async def get(self, *, fresh: bool = False) -> str:
        """The secret. fresh: the last one was refused; get another where that can be. Raises SecretUnavailable."""
        ...


def secret_of(login: LoginTable, cache: Path, now: Callable[[], float]) -> Secret:
    """The way that a (checked) table names. cache: file where an access token is kept. now: seconds UTC."""
    if login.password_command:
        return CommandSecret(login.password_command)
    if login.password_file:
        return FileSecret(expand(login.password_file))
    if login.keyring:
        return KeyringSecret(login.keyring, login.user)
    if login.oauth2.token_command:
        return CommandSecret(login.oauth2.token_command, Kind.TOKEN)
    from .oauth2 import RefreshedToken

    table = login.oauth2
    refresh: Secret = (
        CommandSecret(table.refresh_token_command) if table.refresh_token_command else GivenSecret(table.refresh_token)
    )
    return RefreshedToken(table, refresh, cache, now)


class GivenSecret:
    """One that is known already."""

    def __init__(self, value: str, kind: Kind = Kind.PASSWORD) -> None:
        self.kind = kind
        self._value = value

    async def get(self, *, fresh: bool = False) -> str:
        return self._value


class CommandSecret:
    """The first line that a command prints. Run without a shell; "~/" begins a path of the home folder.

    What the command writes to stderr is shown; its terminal is the one restante runs in, so that it may ask there.
    """

    def __init__(self, command: str, kind: Kind = Kind.PASSWORD, timeout: float = COMMAND_TIMEOUT) -> None:
        self.kind = kind
        self._command = command
        self._timeout = timeout
        self._known = ""
        self._lock = asyncio.Lock()

    async def get(self, *, fresh: bool = False) -> str:
        """Run once a process for all connections, and again where what it gave was refused."""
        before = self._known
        async with self._lock:
            if not self._known or (fresh and self._known == before):
                self._known = await self._run()
            return self._known

    async def _run(self) -> str:
        try:
            words = split_command(self._command)
        except ValueError as error:
            raise SecretUnavailable(f"The command for the {self.kind.value} has an open quote.") from error
        if not words:
            raise SecretUnavailable(f"The command for the {self.kind.value} is empty.")
        try:
            process = await asyncio.create_subprocess_exec(
                *words, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE
            )
        except OSError as error:
            raise SecretUnavailable(
                f'The command "{words[0]}" for the {self.kind.value} cannot be run ({error.strerror}).'
            ) from error
        try:
            async with asyncio.timeout(self._timeout):
                assert process.stdout is not None
                printed = b""
                while piece := await process.stdout.read(MAX_SECRET):
                    # To its end: what is written in two goes comes in two, and a command must not die of a pipe that
                    # nobody reads.
                    printed += piece[: MAX_SECRET - len(printed)]
                status = await process.wait()
        except TimeoutError as error:
            raise SecretUnavailable(
                f'The command "{words[0]}" for the {self.kind.value} was still running after {self._timeout:.0f} s.'
            ) from error
        finally:
            await _ended(process)
        if status != 0:
            raise SecretUnavailable(
                f'The command "{words[0]}" for the {self.kind.value} failed (status {status}).',
                "Run it by hand to see why.",
            )
        return first_line(printed, f'The command "{words[0]}" printed', self.kind)


async def _ended(process: asyncio.subprocess.Process) -> None:
    """See its end; where it does not end by itself, kill it. One that has just ended is not killed: that asks for its
    status, which asyncio then complains on stderr to have lost."""
    try:
        async with asyncio.timeout(GRACE):
            await process.wait()
    except TimeoutError:
        pass
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


class FileSecret:
    """The first line of a file that nobody else may read."""

    kind = Kind.PASSWORD

    def __init__(self, file: Path) -> None:
        self._file = file

    async def get(self, *, fresh: bool = False) -> str:
        try:
            # Not to be stopped by a pipe that nobody writes to.
            handle = os.open(self._file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as error:
            raise SecretUnavailable(f"The password file {self._file} cannot be read ({error.strerror}).") from error
        try:
            status = os.fstat(handle)
            if not stat.S_ISREG(status.st_mode):
                raise SecretUnavailable(f"{self._file} is no file.")
            if status.st_uid not in (os.geteuid(), 0):
                raise SecretUnavailable(f"The password file {self._file} belongs to somebody else.")
            if status.st_mode & 0o077:
                raise SecretUnavailable(
                    f"Others may read the password file {self._file}.", f"Make it yours: chmod 600 {self._file}"
                )
            data = os.read(handle, MAX_SECRET)
        finally:
            os.close(handle)
        return first_line(data, f"The file {self._file} has", self.kind)


class KeyringSecret:
    """The password that the system's keyring (Secret Service, macOS Keychain, KWallet) keeps for a service and user."""

    kind = Kind.PASSWORD

    def __init__(self, service: str, user: str) -> None:
        self._service = service
        self._user = user

    async def get(self, *, fresh: bool = False) -> str:
        return await asyncio.to_thread(self._read)  # it may ask the person to open the keyring

    def _read(self) -> str:
        keyring = _keyring()
        try:
            found = keyring.get_password(self._service, self._user)
        except keyring.errors.KeyringError as error:
            raise SecretUnavailable(f"The keyring cannot be used ({type(error).__name__}).") from error
        if not found:
            raise SecretUnavailable(
                f'The keyring has no password of {self._user} under "{self._service}".',
                f"Put it there: keyring set {shlex.quote(self._service)} {shlex.quote(self._user)}",
            )
        return str(found)

    def keep(self, password: str) -> None:
        """Put a password there. Raises SecretUnavailable."""
        keyring = _keyring()
        try:
            keyring.set_password(self._service, self._user, password)
        except keyring.errors.KeyringError as error:
            raise SecretUnavailable(f"The keyring takes no password ({type(error).__name__}).") from error


def split_command(command: str) -> list[str]:
    """Its words, as a shell would split them; "~/" begins a path of the home folder. Raises ValueError."""
    home = str(Path.home())
    return [home + word[1:] if word.startswith("~/") else word for word in shlex.split(command)]


def _keyring() -> Any:
    """The module (Any: it is an extra, which may not be installed)."""
    try:
        import keyring
        import keyring.errors
    except ImportError as error:
        raise SecretUnavailable(
            "The package keyring is not installed.", "Install restante[sync], or use a command or a file."
        ) from error
    return keyring


def first_line(data: bytes, what: str, kind: Kind) -> str:
    """The secret in what a command printed or a file holds. Raises SecretUnavailable; its text shows nothing of it."""
    try:
        line = data.decode("utf-8").partition("\n")[0].rstrip("\r")
    except UnicodeDecodeError as error:
        raise SecretUnavailable(f"{what} no UTF-8 where the {kind.value} should be.") from error
    if not line:
        raise SecretUnavailable(f"{what} no {kind.value} in the first line.")
    return line
