"""`restante account`: the people whose mail is kept here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import click

from .common import (
    LazyGroup,
    SizeType,
    Subcommand,
    confirm,
    count,
    emit,
    emit_one,
    instant,
    new_password,
    old_hash,
    run,
    with_json,
    with_place,
    with_yes,
)
from .installation import installation

HASH_HELP = "Instead: the password's hash as another server had it; - reads it from stdin."
LIMIT = click.IntRange(0, 1 << 62)

SUBCOMMANDS = (
    Subcommand("add", ".account:add", "Add an account."),
    Subcommand("list", ".account:list_", "List the accounts."),
    Subcommand("show", ".account:show", "Show one account."),
    Subcommand("passwd", ".account:passwd", "Set an account's password."),
    Subcommand("set", ".account:set_", "Change quota and POP3 settings."),
    Subcommand("disable", ".account:disable", "Refuse an account's logins and mail; keep what it has."),
    Subcommand("enable", ".account:enable", "Undo disable."),
    Subcommand("remove", ".account:remove", "Remove an account and all its mail."),
)


@dataclass(frozen=True, slots=True)
class Row:
    address: str
    enabled: bool
    demo: bool
    quota: int | None
    created: str | None


@dataclass(frozen=True, slots=True)
class Details:
    """What `account show` tells. Sizes in octets."""

    address: str
    id: str
    enabled: bool
    demo: bool
    created: str | None
    quota: int | None
    used: int
    quota_messages: int | None
    messages: int
    quota_mailboxes: int | None
    mailboxes: int
    recoverable: int
    recoverable_size: int
    file_size: int
    pop3_delete: str | None
    pop3_leave_days: int | None
    pop3_seen: bool | None
    scram: bool | None
    app_passwords: int


@click.group(cls=LazyGroup, commands=SUBCOMMANDS, package=__package__)
@with_place
def command() -> None:
    """Add, list, change and remove accounts."""


@click.command()
@click.argument("address", metavar="NAME@DOMAIN")
@click.option("--password-stdin", is_flag=True, help="Read the password from stdin (its first line).")
@click.option("--hash", "hashed", metavar="{SCHEME}...", help=HASH_HELP)
@click.option("--quota", type=SizeType(), metavar="SIZE", help='Such as "2 GB"; 0 for none. Default: as configured.')
@click.option(
    "--quota-messages", type=LIMIT, metavar="N", help="Most messages; 0 for no limit. Default: as configured."
)
@click.option(
    "--quota-mailboxes", type=LIMIT, metavar="N", help="Most mailboxes; 0 for no limit. Default: as configured."
)
@click.option("--no-mailboxes", is_flag=True, help="INBOX alone: without Drafts, Sent, Junk, Trash and Archive.")
@with_place
def add(
    address: str,
    password_stdin: bool,
    hashed: str | None,
    quota: int | None,
    quota_messages: int | None,
    quota_mailboxes: int | None,
    no_mailboxes: bool,
) -> None:
    """Add an account. Its domain must be there (restante domain add)."""

    async def work() -> None:
        async with installation() as here:
            await here.admin.check_new(address)  # before anybody types a password
            old = old_hash(hashed, password_stdin)
            password = new_password(password_stdin) if old is None else None
            account = await here.admin.add_account(
                address,
                password,
                hash=old,
                quota=quota,
                quota_messages=quota_messages,
                quota_mailboxes=quota_mailboxes,
                mailboxes=not no_mailboxes,
            )
            click.echo(f"Added the account {account.address}.")

    run(work())


@click.command("list")
@with_json
@with_place
def list_(as_json: bool) -> None:
    """List the accounts."""

    async def work() -> None:
        async with installation() as here:
            accounts = await here.admin.accounts()
        rows = [Row(each.address, each.enabled, each.demo, each.quota, instant(each.created)) for each in accounts]
        emit(rows, as_json, "There are no accounts yet. Add one with 'restante account add NAME@DOMAIN'.")

    run(work())


@click.command()
@click.argument("address", metavar="NAME@DOMAIN")
@with_json
@with_place
def show(address: str, as_json: bool) -> None:
    """Show one account: settings, sizes, counts."""

    async def work() -> None:
        async with installation() as here:
            account = await here.admin.account(address)
            passwords = await here.admin.app_passwords(address)
            stats = await here.engine.account(account.id).stats()
        settings = account.settings
        emit_one(
            Details(
                account.address,
                account.id,
                account.enabled,
                account.demo,
                instant(account.created),
                account.quota,
                stats.used,
                account.quota_messages,
                stats.messages,
                account.quota_mailboxes,
                stats.mailboxes,
                stats.recoverable,
                stats.recoverable_size,
                stats.file_size,
                settings.pop3_delete,
                settings.pop3_leave_days,
                settings.pop3_seen,
                settings.scram,
                len(passwords),
            ),
            as_json,
        )

    run(work())


@click.command()
@click.argument("address", metavar="NAME@DOMAIN")
@click.option("--password-stdin", is_flag=True, help="Read the password from stdin (its first line).")
@click.option("--hash", "hashed", metavar="{SCHEME}...", help=HASH_HELP)
@with_place
def passwd(address: str, password_stdin: bool, hashed: str | None) -> None:
    """Set an account's password. The old one works no more, and sessions that it opened end; app passwords work on."""

    async def work() -> None:
        async with installation() as here:
            account = await here.admin.account(address)
            old = old_hash(hashed, password_stdin)
            if old is not None:
                await here.admin.set_hash(account.address, old)
            else:
                await here.admin.set_password(account.address, new_password(password_stdin))
            click.echo(f"Set the password of {account.address}.")

    run(work())


@click.command("set")
@click.argument("address", metavar="NAME@DOMAIN")
@click.option("--quota", type=SizeType(), metavar="SIZE", help='Such as "2 GB"; 0 for none.')
@click.option("--quota-messages", type=LIMIT, metavar="N", help="Most messages; 0 for no limit.")
@click.option("--quota-mailboxes", type=LIMIT, metavar="N", help="Most mailboxes; 0 for no limit.")
@click.option("--quota-default", is_flag=True, help="Go back to the configured limits; those named with it are set.")
@click.option("--pop3-delete", type=click.Choice(["remove", "trash", "keep"]), help="What POP3's DELE does.")
@click.option("--pop3-leave-days", type=click.IntRange(-1, 36_500), help="Days after which read POP3 mail is moved.")
@click.option("--pop3-seen/--no-pop3-seen", default=None, help="Whether POP3's RETR marks a message as read.")
@click.option("--scram/--no-scram", default=None, help="Keep a SCRAM verifier from the next password on.")
@with_place
def set_(
    address: str,
    quota: int | None,
    quota_messages: int | None,
    quota_mailboxes: int | None,
    quota_default: bool,
    pop3_delete: str | None,
    pop3_leave_days: int | None,
    pop3_seen: bool | None,
    scram: bool | None,
) -> None:
    """Change an account's limits and settings; what is not named stays. Limits hold at once, in all sessions."""
    from dataclasses import replace

    from ..accounts.admin import Unchanged

    limits = (quota, quota_messages, quota_mailboxes)
    if not quota_default and {*limits, pop3_delete, pop3_leave_days, pop3_seen, scram} == {None}:
        raise click.UsageError("Say what is to change: --quota, --pop3-delete, ...")

    async def work() -> None:
        async with installation() as here:
            account = await here.admin.account(address)
            if quota_default or limits != (None, None, None):
                otherwise = None if quota_default else Unchanged.YES
                await here.admin.set_quota(address, *(otherwise if given is None else given for given in limits))
            settings = {
                "pop3_delete": pop3_delete,
                "pop3_leave_days": pop3_leave_days,
                "pop3_seen": pop3_seen,
                "scram": scram,
            }
            named: dict[str, Any] = {name: given for name, given in settings.items() if given is not None}
            if named:
                await here.admin.set_settings(address, lambda there: replace(there, **named))
            click.echo(f"Changed the account {account.address}.")

    run(work())


@click.command()
@click.argument("address", metavar="NAME@DOMAIN")
@with_place
def disable(address: str) -> None:
    """Refuse an account's logins and new mail, and end its sessions. What it has stays."""

    async def work() -> None:
        async with installation() as here:
            await here.admin.disable(address)
            click.echo(f"Disabled the account {address}.")

    run(work())


@click.command()
@click.argument("address", metavar="NAME@DOMAIN")
@with_place
def enable(address: str) -> None:
    """Let a disabled account log in again."""

    async def work() -> None:
        async with installation() as here:
            await here.admin.enable(address)
            click.echo(f"Enabled the account {address}.")

    run(work())


@click.command()
@click.argument("address", metavar="NAME@DOMAIN")
@with_yes
@with_place
def remove(address: str, yes: bool) -> None:
    """Remove an account and all its mail, for good. Its sessions end."""
    from ..store.errors import StoreRefusal

    async def work() -> None:
        async with installation() as here:
            account = await here.admin.account(address)
            try:
                what = count((await here.engine.account(account.id).stats()).messages, "message")
            except StoreRefusal:  # its file is damaged or not there: no reason to keep the account
                what = "mail, which cannot be read now,"
            confirm(f"The account {account.address} and its {what} will be gone for good.", yes)
            await here.admin.remove_account(address)
            click.echo(f"Removed the account {account.address}.")
            if leading := await here.admin.leading_to(account.address):
                names = ", ".join(leading)
                click.echo(f"Mail to {names} was to go there: it is refused where it goes to nobody else.", err=True)

    run(work())
