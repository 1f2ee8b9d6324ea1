"""Passwords by command, file and keyring; tokens that refresh themselves."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import socket
import sys
import threading
import types
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from restante.clock import ManualClock
from restante.sync import oauth2
from restante.sync.config import LoginTable, OAuth2Table
from restante.sync.oauth2 import EARLY, UNSAID, RefreshedToken
from restante.sync.secrets import (
    CommandSecret,
    FileSecret,
    GivenSecret,
    KeyringSecret,
    Kind,
    ProviderUnavailable,
    Secret,
    SecretUnavailable,
    secret_of,
    split_command,
)

from ..ports import free_port


def get(secret: Secret, *, fresh: bool = False) -> str:
    return asyncio.run(secret.get(fresh=fresh))


def python(code: str) -> str:
    return f"{sys.executable} -c '{code}'"


# Commands ------------------------------------------------------------------------------------------------


def test_the_first_line_of_a_command() -> None:
    assert get(CommandSecret(python('print("pass word \\u00fc\\nsecond")'))) == "pass word ü"


TWO_GOES = """
import array, fcntl, os, termios, time
for part in (b"pass ", b"word", b"\\n", b"more"):
    os.write(1, part)
    waiting = array.array("i", [1])
    while waiting[0]:  # until it has been read
        fcntl.ioctl(1, termios.FIONREAD, waiting)
        time.sleep(0.001)  # between two looks; nothing rests on its length
"""


def test_a_password_that_is_written_in_two_goes_is_whole(tmp_path: Path) -> None:
    (tmp_path / "pw.py").write_text(TWO_GOES)
    assert get(CommandSecret(f"{sys.executable} {tmp_path / 'pw.py'}")) == "pass word"


def test_no_shell_is_between() -> None:
    assert get(CommandSecret("echo $HOME; id")) == "$HOME; id"
    assert get(CommandSecret("sh -c 'echo $((1+1))'")) == "2"
    assert split_command("~/bin/pw 'a b' x~/y") == [f"{Path.home()}/bin/pw", "a b", "x~/y"]


def test_it_runs_once_for_many_connections(tmp_path: Path) -> None:
    count = tmp_path / "count"
    secret = CommandSecret(f"sh -c 'echo x >> {count}; wc -l < {count}'", Kind.TOKEN)

    async def work() -> list[str]:
        first = await asyncio.gather(*(secret.get() for _ in range(5)))
        return [*first, *await asyncio.gather(*(secret.get(fresh=True) for _ in range(3)))]

    found = [each.strip() for each in asyncio.run(work())]
    assert found == ["1"] * 5 + ["2"] * 3, "again once, where it was refused"


BAD = [
    ("false", "failed \\(status 1\\)"),
    ("/nowhere/at/all", "cannot be run"),
    ("true", "no password in the first line"),
    ("'open", "open quote"),
    ("   ", "is empty"),
    ("sh -c 'printf \"\\377\\n\"'", "no UTF-8"),
]


@pytest.mark.parametrize(("command", "words"), BAD)
def test_a_command_that_gives_nothing(command: str, words: str) -> None:
    with pytest.raises(SecretUnavailable, match=words):
        get(CommandSecret(command))


def test_a_command_that_ends_is_not_killed_by_who_stops_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    killed: list[asyncio.subprocess.Process] = []
    started = asyncio.Event()
    start = asyncio.create_subprocess_exec

    async def noted(*words: str, **how: Any) -> asyncio.subprocess.Process:
        process = await start(*words, **how)
        started.set()
        return process

    monkeypatch.setattr("restante.sync.secrets.GRACE", 60.0)
    monkeypatch.setattr(asyncio, "create_subprocess_exec", noted)
    monkeypatch.setattr(asyncio.subprocess.Process, "kill", killed.append)

    async def act() -> None:
        waiting = asyncio.create_task(CommandSecret(python("print('x')")).get())
        await started.wait()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    asyncio.run(act())
    assert killed == []


def test_a_command_that_does_not_end_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[int] = []
    start = asyncio.create_subprocess_exec

    async def noted(*words: str, **how: Any) -> asyncio.subprocess.Process:
        process = await start(*words, **how)
        started.append(process.pid)
        return process

    monkeypatch.setattr(asyncio, "create_subprocess_exec", noted)
    with pytest.raises(SecretUnavailable, match="still running after 1 s"):
        get(CommandSecret("sleep 600", timeout=1.0))
    (pid,) = started
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_talkative_command_ends() -> None:
    assert get(CommandSecret(python('print("pw"); print("x" * 1000000)'))) == "pw"


def test_what_fails_shows_nothing_secret() -> None:
    with pytest.raises(SecretUnavailable) as caught:
        get(CommandSecret("sh -c 'echo hunter2; exit 3' --token=hunter3"))
    assert "hunter" not in str(caught.value)


# Files ---------------------------------------------------------------------------------------------------


def test_a_file_that_is_ones_own(tmp_path: Path) -> None:
    file = tmp_path / "pw"
    file.write_text("pass word\r\nmore\n")
    file.chmod(0o400)
    assert get(FileSecret(file)) == "pass word"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o601])
def test_a_file_that_others_may_use_is_refused(tmp_path: Path, mode: int) -> None:
    file = tmp_path / "pw"
    file.write_text("secret")
    file.chmod(mode)
    with pytest.raises(SecretUnavailable, match=f"chmod 600 {file}") as caught:
        get(FileSecret(file))
    assert "secret" not in caught.value.text.replace(str(file), "")


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(SecretUnavailable, match="No such file"):
        get(FileSecret(tmp_path / "none"))
    with pytest.raises(SecretUnavailable, match="is no file"):
        get(FileSecret(tmp_path))
    os.mkfifo(tmp_path / "pipe", 0o600)
    with pytest.raises(SecretUnavailable, match="is no file"):
        get(FileSecret(tmp_path / "pipe"))  # and does not wait for who writes into it


# Keyring -------------------------------------------------------------------------------------------------


@pytest.fixture
def ring(monkeypatch: pytest.MonkeyPatch) -> dict[tuple[str, str], str]:
    """A stand-in for the package, which is an extra."""
    kept: dict[tuple[str, str], str] = {}
    module, errors = types.ModuleType("keyring"), types.ModuleType("keyring.errors")

    class KeyringError(Exception):
        pass

    def get_password(service: str, user: str) -> str | None:
        if service == "locked":
            raise KeyringError
        return kept.get((service, user))

    module.__dict__.update(
        get_password=get_password, set_password=lambda s, u, p: kept.__setitem__((s, u), p), errors=errors
    )
    errors.__dict__["KeyringError"] = KeyringError
    monkeypatch.setitem(sys.modules, "keyring", module)
    monkeypatch.setitem(sys.modules, "keyring.errors", errors)
    return kept


def test_the_keyring(ring: dict[tuple[str, str], str]) -> None:
    secret = KeyringSecret("imap.example.com", "anna")
    with pytest.raises(SecretUnavailable, match=r"keyring set imap\.example\.com anna"):
        get(secret)
    secret.keep("pw")
    assert ring == {("imap.example.com", "anna"): "pw"}
    assert get(secret) == "pw"
    with pytest.raises(SecretUnavailable, match="cannot be used"):
        get(KeyringSecret("locked", "anna"))


def test_without_the_package_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(SecretUnavailable, match=r"restante\[sync\]"):
        get(KeyringSecret("a", "b"))


# OAuth2 --------------------------------------------------------------------------------------------------


class Provider:
    """A token endpoint. answers: (status, body), the last one repeated; {n} becomes the number of the request."""

    def __init__(self) -> None:
        self.asked: list[dict[str, str]] = []
        self.answers: list[tuple[int, str]] = [(200, '{"access_token":"t{n}","expires_in":3600}')]
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
                provider.asked.append({key: values[0] for key, values in form.items()})
                number = len(provider.asked)
                status, body = provider.answers[min(number, len(provider.answers)) - 1]
                self.send_response(status)
                if status == 302:
                    self.send_header("Location", f"{provider.url}/elsewhere")
                data = body.replace("{n}", str(number)).encode()
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/token"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def provider() -> Iterator[Provider]:
    found = Provider()
    yield found
    found.close()


CLOCK = ManualClock()


def token(provider: Provider, cache: Path, clock: ManualClock, refresh: str = "r0", **more: str) -> RefreshedToken:
    table = OAuth2Table(endpoint=provider.url, client_id="c", refresh_token=refresh, **more)
    return RefreshedToken(table, GivenSecret(refresh), cache, clock.now)


def test_a_token_is_got_kept_and_renewed_in_time(provider: Provider, tmp_path: Path) -> None:
    clock, cache = ManualClock(), tmp_path / "made" / "token.json"
    secret = token(provider, cache, clock, client_secret="s", scope="mail")
    assert secret.kind is Kind.TOKEN
    assert get(secret) == "t1"
    assert provider.asked == [
        {"grant_type": "refresh_token", "refresh_token": "r0", "client_id": "c", "client_secret": "s", "scope": "mail"}
    ]
    assert cache.stat().st_mode & 0o777 == 0o600
    clock.advance(3600 - EARLY - 1)
    assert get(token(provider, cache, clock)) == "t1", "another process"
    clock.advance(2)
    assert get(token(provider, cache, clock)) == "t2"
    assert json.loads(cache.read_text())["access_token"] == "t2"


def test_a_refused_token_is_renewed_before_its_time(provider: Provider, tmp_path: Path) -> None:
    secret = token(provider, tmp_path / "t", CLOCK)

    async def work() -> list[str]:
        first = await secret.get()
        again = await secret.get(fresh=True)
        return [first, again, await secret.get()]

    assert asyncio.run(work()) == ["t1", "t2", "t2"]


def test_connections_at_once_ask_once(provider: Provider, tmp_path: Path) -> None:
    secret = token(provider, tmp_path / "t", CLOCK)

    async def work() -> list[str]:
        return list(await asyncio.gather(*(secret.get() for _ in range(5))))

    assert asyncio.run(work()) == ["t1"] * 5
    assert len(provider.asked) == 1


def test_a_new_refresh_token_is_used_from_then_on(provider: Provider, tmp_path: Path) -> None:
    clock, cache = ManualClock(), tmp_path / "t"
    provider.answers = [(200, '{"access_token":"t{n}","expires_in":"3600","refresh_token":"r{n}"}')]
    for _ in range(3):
        get(token(provider, cache, clock))
        clock.advance(4000)
    assert [each["refresh_token"] for each in provider.asked] == ["r0", "r1", "r2"]
    # One that a person puts into the configuration counts before what was kept.
    get(token(provider, cache, clock, refresh="new"))
    assert provider.asked[-1]["refresh_token"] == "new"


def test_a_token_whose_life_is_not_told_lives_shortly(provider: Provider, tmp_path: Path) -> None:
    clock = ManualClock()
    provider.answers = [(200, '{"access_token":"t{n}"}')]
    assert get(token(provider, tmp_path / "t", clock)) == "t1"
    clock.advance(UNSAID - 1)
    assert get(token(provider, tmp_path / "t", clock)) == "t1"
    clock.advance(2)
    assert get(token(provider, tmp_path / "t", clock)) == "t2"


REFUSALS = [
    (400, '{"error":"invalid_grant"}', SecretUnavailable, "invalid_grant.*allow access anew"),
    (401, '{"error":"invalid_client"}', SecretUnavailable, "invalid_client.*Check client_id"),
    (400, "<html>", SecretUnavailable, r"refused \(400\)"),
    (302, "", SecretUnavailable, r"refused \(302\)"),
    (503, "later", ProviderUnavailable, "answers 503"),
    (429, "", ProviderUnavailable, "answers 429"),
    (200, "not json", SecretUnavailable, "no JSON"),
    (200, '{"token_type":"x"}', SecretUnavailable, "no access token"),
    (200, "[1]", SecretUnavailable, "no JSON object"),
]


@pytest.mark.parametrize(("status", "body", "kind", "words"), REFUSALS)
def test_a_provider_that_refuses(
    provider: Provider, tmp_path: Path, status: int, body: str, kind: type[SecretUnavailable], words: str
) -> None:
    provider.answers = [(status, body)]
    with pytest.raises(kind, match=words) as caught:
        get(token(provider, tmp_path / "t", CLOCK, client_secret="hunter2"))
    assert type(caught.value) is kind
    assert caught.value.temporary == (kind is ProviderUnavailable)
    assert "hunter2" not in str(caught.value)
    assert len(provider.asked) == 1, "a redirect is not followed: it would carry the secrets elsewhere"


@pytest.mark.parametrize(
    "answer",
    [
        b"hello\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
        b"HTTP/1.1 400 No\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 200 + b"\r\n",
        b"HTTP/1.1 200 OK\r\na: " + b"b" * 70_000 + b"\r\n\r\n",
    ],
)
def test_a_provider_that_speaks_no_http(tmp_path: Path, answer: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            peer, _ = listener.accept()
            with peer, suppress(ConnectionError):  # who has read enough leaves
                peer.recv(65_536)
                peer.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/token"
        table = OAuth2Table(endpoint=url, client_id="c", refresh_token="r")
        try:
            with pytest.raises(ProviderUnavailable):
                get(RefreshedToken(table, GivenSecret("r"), tmp_path / "t", CLOCK.now))
        finally:
            thread.join()


@pytest.mark.parametrize("said", ['"1e999"', '"nan"', "1" + "0" * 400, "[]"])
def test_a_life_that_is_no_number_is_a_short_one(provider: Provider, tmp_path: Path, said: str) -> None:
    provider.answers = [(200, f'{{"access_token":"t{{n}}","expires_in":{said}}}')]
    for _ in range(2):
        assert get(token(provider, tmp_path / "t", CLOCK)) == "t1"


def test_a_full_disk_is_seen_before_the_provider_is_asked(
    provider: Provider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a refresh token that the provider has put in the old one's place would be lost."""

    def full(file: Path, data: bytes) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(file))

    monkeypatch.setattr(oauth2, "replace_file", full)
    with pytest.raises(SecretUnavailable, match=r"cannot be kept.*No space left") as caught:
        get(token(provider, tmp_path / "t", CLOCK))
    assert caught.value.temporary
    assert provider.asked == []


def test_no_network(tmp_path: Path) -> None:
    table = OAuth2Table(endpoint=f"http://127.0.0.1:{free_port()}/token", client_id="c", refresh_token="r0")
    with pytest.raises(ProviderUnavailable, match="cannot be reached"):
        get(RefreshedToken(table, GivenSecret("r0"), tmp_path / "t", CLOCK.now))


def test_a_kept_token_that_is_damaged_is_named(provider: Provider, tmp_path: Path) -> None:
    (tmp_path / "t").write_text("{")
    with pytest.raises(SecretUnavailable, match="Remove the file"):
        get(token(provider, tmp_path / "t", CLOCK))


def test_each_way_of_a_table(provider: Provider, tmp_path: Path, ring: dict[tuple[str, str], str]) -> None:
    def way(table: LoginTable) -> Secret:
        return secret_of(table, tmp_path / "t", CLOCK.now)

    file = tmp_path / "pw"
    file.write_text("from file")
    file.chmod(0o600)
    ring["k", "anna"] = "from ring"
    assert get(way(LoginTable(password_command="echo from command"))) == "from command"
    assert get(way(LoginTable(password_file=str(file)))) == "from file"
    assert get(way(LoginTable(keyring="k", user="anna"))) == "from ring"
    by_command = way(LoginTable(oauth2=OAuth2Table(token_command="echo a-token")))
    assert (get(by_command), by_command.kind) == ("a-token", Kind.TOKEN)
    table = OAuth2Table(endpoint=provider.url, client_id="c", refresh_token_command="echo printed")
    assert get(way(LoginTable(oauth2=table))) == "t1"
    assert provider.asked[0]["refresh_token"] == "printed"
