"""`restante sync init`: a new copy. What is not said is asked on a terminal, and found out where there is a network."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import Refusal
from .common import place_of, run, with_place
from .login import tls_of, with_login, with_tls

if TYPE_CHECKING:
    from ..sync.config import CopyTable
    from ..sync.discover import Found


class NotSaid(Refusal):
    """Something is needed that was not said, and there is nobody to ask."""

    code = "NOT-SAID"


@dataclass
class Said:
    """What the command line said; None or empty where it did not."""

    imap: str
    pop3: str
    tls: str
    certificate: str
    user: str
    password_command: str
    password_file: str
    keyring: str
    oauth2: dict[str, str]
    maildir: str
    layout: str
    store: str
    mbox: str
    mailboxes: tuple[str, ...]
    exclude: tuple[str, ...]
    smtp: str
    smtp_tls: str
    no_send: bool
    addresses: tuple[str, ...]
    full_name: str
    no_discovery: bool


@click.command()
@click.argument("name", required=False)
@click.option("--imap", default="", metavar="HOST[:PORT]", help="The IMAP server: both ways.")
@click.option("--pop3", default="", metavar="HOST[:PORT]", help="The POP3 server: into the copy.")
@click.option("--no-discovery", is_flag=True, help="Ask no network where the servers are.")
@with_login()
@click.option("--oauth2-endpoint", default="", metavar="URL", help="Where a refresh token is exchanged.")
@click.option("--oauth2-client-id", default="", metavar="ID", help="With --oauth2-endpoint: the client.")
@click.option("--oauth2-client-secret", default="", metavar="SECRET", help="Its secret, where it has one.")
@click.option("--oauth2-refresh-token", default="", metavar="TOKEN", help="The refresh token; - reads it from stdin.")
@click.option("--oauth2-refresh-token-command", default="", metavar="CMD", help="Command that prints it.")
@click.option("--oauth2-scope", default="", metavar="SCOPE", help="The scope to ask for.")
@click.option("--maildir", default="", metavar="DIR", help="Where the mail goes: a tree of Maildirs.")
@click.option(
    "--layout",
    type=click.Choice(["maildir++", "plain"]),
    help="How the tree is laid out. Default: as it is; a new one: maildir++.",
)
@click.option("--store", default="", metavar="ACCOUNT", help="Or an account of a Restante store, made if missing.")
@click.option("--mbox", default="", metavar="FILE", help="Or, for POP3, an mbox file.")
@click.option("--mailbox", "mailboxes", multiple=True, metavar="PATTERN", help="Copy these alone.")
@click.option("--exclude", multiple=True, metavar="PATTERN", help="Leave these out.")
@click.option("--smtp", default="", metavar="HOST[:PORT]", help="The server that sends mail.")
@with_tls("smtp")
@click.option("--no-send", is_flag=True, help="Send no mail from this copy.")
@click.option("--address", "addresses", multiple=True, metavar="ADDRESS", help="Sender address that goes this way.")
@click.option("--full-name", default="", metavar="NAME", help="Your name, for mail without a From.")
@with_place
def init(name: str | None, **said: Any) -> None:
    """Add the copy NAME to the file of copies. What is not said is asked, on a terminal.

    The server of an address is looked for by SRV records and autoconfig (https) where neither --imap nor --pop3 is
    said. Nothing that is in the file is changed.
    """
    from ..sync.config import RESERVED
    from ..sync.new import add_copy, check_new
    from ..sync.where import config_file

    oauth2 = {key.removeprefix("oauth2_"): str(said.pop(key)) for key in list(said) if key.startswith("oauth2_")}
    if oauth2["refresh_token"] == "-":
        oauth2["refresh_token"] = sys.stdin.readline().strip()
    said |= {"tls": tls_of(said), "smtp_tls": tls_of(said, "smtp")}
    for key in ("starttls", "no_tls", "smtp_starttls", "smtp_no_tls"):
        del said[key]
    keyring = said.pop("keyring")
    words = Said(**said, keyring="yes" if keyring else "", oauth2={k: v for k, v in oauth2.items() if v})
    _one_of(words)
    if name is None:
        name = _ask("A name for the copy", "NAME", default="mail")
    if name.lower() in RESERVED:
        raise click.UsageError(f"A copy cannot be called {name}: that is a command.")
    file = place_of().config or config_file()
    check_new(file, name)  # before anybody has answered all questions
    copy = _table(words)
    add_copy(file, name, copy)
    click.echo(f"The copy {name} is in {file}.")
    if copy.store:
        run(_make_account(file, copy.store))
    config = f"--config {file} " if place_of().config is not None else ""
    data = f"--data {place_of().data} " if place_of().data is not None else ""
    click.echo(f"Look what would be done: restante sync {config}{data}--dry-run {name}")
    click.echo(f"Begin: restante sync {config}{data}{name}")


def _one_of(said: Said) -> None:
    """What excludes each other was not said together: one of them would be passed over without a word."""
    ways = ("--password-command", said.password_command), ("--password-file", said.password_file)
    for choice in (
        (("--imap", said.imap), ("--pop3", said.pop3)),
        (("--maildir", said.maildir), ("--store", said.store), ("--mbox", said.mbox)),
        (*ways, ("--keyring", said.keyring), ("--oauth2-...", said.oauth2)),
        (("--smtp", said.smtp), ("--no-send", said.no_send)),
        (("--mbox", said.mbox), ("--smtp", said.smtp)),
    ):
        given = [option for option, value in choice if value]
        if len(given) > 1:
            raise click.UsageError(f"Say {' or '.join(given)}.")
    if said.layout and not said.maildir and (said.store or said.mbox):
        raise click.UsageError("--layout goes with --maildir.")
    # Where the server was said nobody is asked whether mail is sent.
    if not said.smtp and (said.imap or said.pop3 or said.no_send or said.mbox):
        sending = (
            ("--address", said.addresses),
            ("--full-name", said.full_name),
            ("--smtp-starttls", said.smtp_tls == "starttls"),
            ("--smtp-no-tls", said.smtp_tls == "none"),
        )
        for option, value in sending:
            if value:
                raise click.UsageError(f"{option} goes with --smtp.")


def _table(said: Said) -> CopyTable:
    """The copy, asked for where it was not said."""
    import msgspec

    from ..sync.config import PATHS, CopyTable

    user = said.user or _ask("Your address, or the name to log in with", "--user")
    found = _find(said, user)
    values: dict[str, Any] = {"certificate": said.certificate} | _server(said, found)
    values["user"] = _login_name(said, found, user)
    values |= _password(said, values)
    values |= _target(said)
    for key in PATHS:
        if values.get(key):
            values[key] = _from_anywhere(values[key])
    values |= {"mailboxes": list(said.mailboxes), "exclude": list(said.exclude)}
    values["send"] = _send(said, found, user)
    return msgspec.convert(values, CopyTable)


def _from_anywhere(path: str) -> str:
    """The path as the file has it: a later run may begin in another folder."""
    return path if path.startswith("~") else str(Path(path).absolute())


def _find(said: Said, user: str) -> Found:
    """The servers of the address, where they have to be found."""
    from ..sync.discover import Found, discover

    if said.imap or said.pop3 or said.no_discovery or "@" not in user:
        return Found()
    click.echo(f"Looking for the servers of {user.rpartition('@')[2]} ...", err=True)
    return run(discover(user))


def _login_name(said: Said, found: Found, user: str) -> str:
    """Who logs in: as the server's own file has it, else what was said; a person whose address was asked for confirms
    it, since some servers want another name."""
    name = found.user or user
    return name if said.user or not _terminal() else _ask("Name to log in with", "--user", default=name)


def _server(said: Said, found: Found) -> dict[str, Any]:
    from ..sync.discover import within

    if said.imap or said.pop3:
        return {"imap": said.imap, "pop3": said.pop3, "tls": said.tls}
    server = found.imap or found.pop3
    if server is not None:
        kind = "imap" if found.imap is not None else "pop3"
        domain = said.user.rpartition("@")[2]
        text = f"{kind.upper()} server {server} ({server.tls} TLS), from {found.source}"
        if _terminal():
            if click.confirm(f"Found the {text}. Use it?", default=True, err=True):
                return {kind: str(server), "tls": server.tls}
        elif within(server, domain) or found.source.startswith("https:"):
            click.echo(f"Using the {text}.", err=True)
            return {kind: str(server), "tls": server.tls}
        else:
            # RFC 6186 6: an SRV record can be forged; a server elsewhere is for a person to confirm.
            raise NotSaid(f"Found the {text}, outside the domain.", f"If it is right, say --{kind} {server}.")
    return _asked_server(said)


def _asked_server(said: Said) -> dict[str, Any]:
    if not _terminal():
        raise NotSaid("Server: not said, and nobody to ask.", "Say --imap HOST or --pop3 HOST.")
    kind = _choose("Mail comes by", ["imap", "pop3"], "imap")
    host = _asked_host(f"{kind.upper()} server (HOST or HOST:PORT)", kind, said.tls)
    return {kind: host, "tls": _asked_tls(said.tls)}


def _asked_tls(said: str) -> str:
    """As it was said; asked for where it was not."""
    return said if said != "implicit" else _choose("TLS", ["implicit", "starttls", "none"], said)


def _asked_host(question: str, kind: str, tls: str, default: str | None = None) -> str:
    """A server, asked for until it is one."""
    from ..sync.config import parse_server

    def check(text: str) -> str:
        try:
            if text.strip():
                parse_server(kind, text.strip(), tls)
        except ValueError as error:
            raise click.UsageError(f"{error}.") from error
        return text.strip()

    return str(click.prompt(question, default=default, show_default=False, value_proc=check, err=True))


def _password(said: Said, values: dict[str, Any]) -> dict[str, Any]:
    from ..sync.config import parse_server

    kind = "imap" if values.get("imap") else "pop3"
    try:
        host = parse_server(kind, values[kind], values["tls"]).host
    except ValueError as error:
        raise click.UsageError(f"{error}.") from error
    if said.password_command:
        return {"password_command": said.password_command}
    if said.password_file:
        return {"password_file": said.password_file}
    if said.keyring:
        return {"keyring": host}
    if said.oauth2:
        return {"oauth2": said.oauth2}
    if not _terminal():
        raise NotSaid(
            "No way to the password was said.",
            "Say --password-command, --password-file, --keyring or --oauth2-token-command (or --oauth2-endpoint).",
        )
    from importlib.util import find_spec

    likely = "keyring" if find_spec("keyring") is not None else "command"
    click.echo("The password: printed by a command, in a file, in the system's keyring; or an access token", err=True)
    click.echo("(OAuth2) that a command prints.", err=True)
    way = _choose("Which", ["command", "file", "keyring", "token"], likely)
    if way == "command":
        return {"password_command": _ask("Command that prints it", "--password-command")}
    if way == "token":
        return {"oauth2": {"token_command": _ask("Command that prints the token", "--oauth2-token-command")}}
    if way == "file":
        return {"password_file": _password_file(values["user"])}
    from ..sync.secrets import KeyringSecret

    KeyringSecret(host, values["user"]).keep(_asked_password(f"{values['user']} (kept in the keyring)"))
    return {"keyring": host}


def _password_file(user: str) -> str:
    """A file with the password, written where it is missing: for its owner alone. Raises Refusal."""
    from ..files import replace_file
    from ..sync.config import expand

    where = _ask("File (made if missing)", "--password-file")
    file = expand(where)
    if not file.exists():
        password = _asked_password(f"{user} (kept in {where})")
        try:
            replace_file(file, f"{password}\n".encode())
        except OSError as error:
            raise Refusal(f"{where} cannot be written ({error.strerror}).", "Name another file.") from error
    return where


def _asked_password(whose: str) -> str:
    return str(click.prompt(f"Password of {whose}", hide_input=True, err=True))


def _target(said: Said) -> dict[str, Any]:
    if said.store:
        return {"store": said.store}
    if said.mbox:
        return {"mbox": said.mbox}
    where = said.maildir or _ask(
        "Folder for the mail (a tree of Maildirs), or account of a store (NAME@DOMAIN)",
        "--maildir DIR or --store ACCOUNT",
        default="~/Mail",
    )
    if not said.maildir and not said.layout and _is_account(where):
        return {"store": where}
    return {"maildir": where} | ({"layout": said.layout} if said.layout else _layout(where))


def _is_account(text: str) -> bool:
    """Whether somebody who was asked for a place has named an account: no path has an "@" and no "/"."""
    return "@" in text and "/" not in text


def _layout(where: str) -> dict[str, Any]:
    """How a tree that is there already is laid out."""
    from ..sync.config import expand
    from ..sync.maildir import Layout, detect

    layout, inbox = detect(expand(where))
    if layout is Layout.MAILDIRPP:
        return {}
    click.echo(f"{where} is a plain tree of Maildirs (Lists/Music, not .Lists.Music): it stays one.", err=True)
    return {"layout": layout.value, "inbox": {"": ".", "INBOX": ""}.get(inbox, inbox)}


def _send(said: Said, found: Found, user: str) -> dict[str, Any]:
    if said.no_send or said.mbox:
        return {}
    smtp, tls = said.smtp, said.smtp_tls
    if not smtp and not said.imap and not said.pop3 and _terminal():
        smtp, tls = _asked_smtp(said, found)
    if not smtp:
        return {}
    addresses = list(said.addresses) or ([user] if "@" in user else [])
    return {"smtp": smtp, "tls": tls, "addresses": addresses, "name": said.full_name}


def _asked_smtp(said: Said, found: Found) -> tuple[str, str]:
    """The server that sends, and its TLS; ("", "") for none."""
    if found.smtp is not None and click.confirm(
        f"Send mail by the SMTP server {found.smtp} ({found.smtp.tls} TLS)?", default=True, err=True
    ):
        return str(found.smtp), found.smtp.tls
    host = _asked_host("SMTP server for mail that you send (empty: send none)", "smtp", said.smtp_tls, "")
    return host, _asked_tls(said.smtp_tls) if host else ""


async def _make_account(file: Path, address: str) -> None:
    """The account of the store, where it is missing: without mailboxes, which come from the server, and without a
    password."""
    from ..store.directory import Exists, NotFound
    from ..sync.load import load_copies
    from .common import Place
    from .installation import installation

    # --config names the file of copies here, not the server's.
    async with installation(Place(place_of().data or load_copies(file).data), begin=True) as here:
        try:
            await here.admin.account(address)
            return
        except NotFound:
            pass
        try:
            await here.admin.add_domain(address.rpartition("@")[2])
        except Exists:
            pass  # of another account
        await here.admin.add_account(address, mailboxes=False)
    click.echo(f"Made the account {address}. For mail applications: restante account passwd {address}")


def _choose(question: str, answers: list[str], default: str) -> str:
    return str(click.prompt(question, type=click.Choice(answers), default=default, err=True))


def _terminal() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty()


def _ask(question: str, option: str, default: str | None = None) -> str:
    """Ask on a terminal; elsewhere say what option is missing."""
    if not _terminal():
        raise NotSaid(f"{question}: not said, and nobody to ask.", f"Say {option}.")
    return str(click.prompt(question, default=default, err=True)).strip()
