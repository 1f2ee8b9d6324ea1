"""`restante sync init` as a person meets it: questions on a terminal."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .terminal import on_terminal


def asked(folder: Path, answers: Sequence[tuple[str, str]], *args: str) -> tuple[int, str]:
    """Run it on a terminal of its own and answer each question when it stands there; status and all that was seen."""
    where = ["--config", str(folder / "sync.toml"), "--data", str(folder / "data")]
    return on_terminal(["sync", "init", *where, *args], answers, {"HOME": str(folder)})


def copies(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = tomllib.loads((folder / "sync.toml").read_text())["copy"]
    return found


def test_everything_is_asked_that_was_not_said(tmp_path: Path) -> None:
    status, shown = asked(
        tmp_path,
        [
            ("A name for the copy [mail]:", "work"),
            ("Your address, or the name to log in with:", "anna@example.org"),
            ("Mail comes by (imap, pop3) [imap]:", ""),
            ("IMAP server (HOST or HOST:PORT):", "no host"),
            ("IMAP server (HOST or HOST:PORT):", "imap.example.org"),
            ("TLS (implicit, starttls, none) [implicit]:", "starttls"),
            ("Name to log in with [anna@example.org]:", "anna"),
            ("Which (command, file, keyring, token)", "token"),
            ("Command that prints the token:", "oauth2ms --user anna"),
            ("or account of a store (NAME@DOMAIN) [~/Mail]:", ""),
            ("SMTP server for mail that you send (empty: send none):", "smtp.example.org"),
            ("TLS (implicit, starttls, none) [implicit]:", ""),
        ],
        "--no-discovery",
    )
    assert status == 0, shown
    assert '"no host" is no server' in shown
    assert copies(tmp_path) == {
        "work": {
            "imap": "imap.example.org",
            "tls": "starttls",
            "user": "anna",
            "maildir": "~/Mail",
            "oauth2": {"token_command": "oauth2ms --user anna"},
            "send": {"smtp": "smtp.example.org", "addresses": ["anna@example.org"]},
        }
    }


def test_a_password_is_put_into_a_file_that_is_its_owners_alone(tmp_path: Path) -> None:
    status, shown = asked(
        tmp_path,
        [
            ("Mail comes by", "pop3"),
            ("POP3 server (HOST or HOST:PORT):", "[::1]:1110"),
            ("TLS", "none"),
            ("Which", "file"),
            ("File (made if missing):", "~/secret"),
            ("Password of anna (kept in ~/secret):", "hunter2"),
            ("Folder for the mail", "anna@localhost"),
            ("SMTP server", ""),
        ],
        "home", "--user", "anna",
    )  # fmt: skip
    assert status == 0, shown
    assert "hunter2" not in shown
    assert ((tmp_path / "secret").read_text(), (tmp_path / "secret").stat().st_mode & 0o777) == ("hunter2\n", 0o600)
    home = copies(tmp_path)["home"]
    assert (home["pop3"], home["tls"], home["store"]) == ("[::1]:1110", "none", "anna@localhost")
    assert home["password_file"] == "~/secret"
    assert "send" not in home


def test_a_name_that_is_taken_is_refused_before_anything_is_asked(tmp_path: Path) -> None:
    whole = ["--user", "anna", "--imap", "localhost", "--password-command", "echo x", "--maildir"]
    status, shown = asked(tmp_path, [], "work", *whole, "~/Mail")
    assert status == 0, "what is said whole asks nothing: " + shown
    status, shown = asked(tmp_path, [], "work")
    assert status == 1
    assert "There is a copy work" in shown
