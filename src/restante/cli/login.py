"""How to get into a mail server, as options: the same for every command that goes to one, behind a prefix or none.

`--user`, `--starttls`, `--no-tls`, `--certificate`, and the ways to a password; with the prefix "from" `--from-user`
and so on. They reach a command by their names with underscores (`from_user`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from ..sync.config import LoginTable

F = TypeVar("F", bound=Callable[..., object])


def with_tls(prefix: str = "") -> Callable[[F], F]:
    """Options that say how the connection is kept private; `tls_of` reads them."""
    return together(
        _flag(prefix, "starttls", "TLS begins by command instead of at once."),
        _flag(prefix, "no-tls", "No TLS at all: for a server on this machine."),
    )


def with_login(prefix: str = "") -> Callable[[F], F]:
    """Options that say who logs in, and how; `login_of` reads them."""
    return together(
        _text(prefix, "user", "NAME", "Who logs in; most often the address."),
        with_tls(prefix),
        _text(prefix, "certificate", "FILE", "PEM file of what to trust instead of the system's."),
        _text(prefix, "password-command", "CMD", "Command that prints the password; run without a shell."),
        _text(prefix, "password-file", "FILE", "File with the password, readable by you alone."),
        _flag(prefix, "keyring", "The system's keyring has the password (under the server's name)."),
        _text(prefix, "oauth2-token-command", "CMD", "Command that prints an access token."),
    )


def tls_of(options: Mapping[str, Any], prefix: str = "") -> str:
    """ "implicit", "starttls" or "none"; a usage error where both were said."""
    starttls, none = options[_key(prefix, "starttls")], options[_key(prefix, "no-tls")]
    if starttls and none:
        raise click.UsageError(f"{option(prefix, 'starttls')} and {option(prefix, 'no-tls')} do not go together.")
    return "none" if none else "starttls" if starttls else "implicit"


def login_of(options: Mapping[str, Any], server: str, prefix: str = "") -> LoginTable:
    """What was said. server: HOST[:PORT] of IMAP, whose host the keyring has the password under. Whether it is enough,
    and said once, is not looked at (`sync.ends.end_of`). Raises BadEnd for what is no server."""
    from ..sync.config import LoginTable, OAuth2Table, parse_server
    from ..sync.ends import BadEnd

    def said(name: str) -> str:
        return str(options[_key(prefix, name)])

    tls = tls_of(options, prefix)
    try:
        host = parse_server("imap", server, tls).host if server else ""
    except ValueError as error:
        raise BadEnd(f"{error}.") from error
    return LoginTable(
        tls=tls,
        certificate=said("certificate"),
        user=said("user"),
        password_command=said("password-command"),
        password_file=said("password-file"),
        keyring=host if options[_key(prefix, "keyring")] else "",
        oauth2=OAuth2Table(token_command=said("oauth2-token-command")),
    )


def together(*decorators: Callable[[Any], Any]) -> Callable[[F], F]:
    """Several options as one decorator, listed in their order."""

    def decorate(function: F) -> F:
        for each in reversed(decorators):
            function = each(function)
        return function

    return decorate


def option(prefix: str, name: str) -> str:
    """The option's name on the command line."""
    return f"--{prefix}-{name}" if prefix else f"--{name}"


def _key(prefix: str, name: str) -> str:
    return option(prefix, name)[2:].replace("-", "_")


def _text(prefix: str, name: str, metavar: str, help: str) -> Callable[[F], F]:
    return click.option(option(prefix, name), default="", metavar=metavar, help=help)


def _flag(prefix: str, name: str, help: str) -> Callable[[F], F]:
    return click.option(option(prefix, name), is_flag=True, help=help)
