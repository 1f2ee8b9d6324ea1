"""`restante sync`: copies of mail accounts kept in step with their servers.

`restante sync [COPY...]` is `restante sync run [COPY...]`: what is not the name of a subcommand is run's. Start-up is
paid by every run, most of which find nothing to do: what this imports at its head is all that such a run needs of the
command line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from . import sync_ends
from .common import LazyGroup, Subcommand, place_of, with_place

if TYPE_CHECKING:
    from pathlib import Path

    from ..sync.config import Copies

SUBCOMMANDS = (
    Subcommand("run", ".sync:run_", "Bring copies in step; 'restante sync' alone is this."),
    Subcommand("init", ".sync_init:init", "Add a copy to the file of copies."),
    Subcommand("list", ".sync_admin:list_", "List the copies."),
    Subcommand("status", ".sync_admin:status", "Show how the last runs ended and what waits for you."),
    Subcommand("removals", ".sync_admin:removals", "Show held removals, and decide about them."),
    Subcommand("fetch", ".sync_admin:fetch", "Download messages that left a placeholder."),
)

_OF_PLACE = ("--config", "--data")


class SyncGroup(LazyGroup):
    """A group whose arguments are those of `run` where they begin with none of its commands."""

    default = "run"

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        at = 0
        while at < len(args) and args[at].partition("=")[0] in _OF_PLACE:
            at += 1 if "=" in args[at] else 2
        first = args[at] if at < len(args) else ""
        if first not in self._lazy and first not in ctx.help_option_names:
            args = [self.default, *args]
        return super().parse_args(ctx, args)


@click.group(cls=SyncGroup, commands=SUBCOMMANDS, package=__package__)
@with_place
def command() -> None:
    """Keep copies of mail accounts in step with their servers: both ways by IMAP, into the copy by POP3.

    `restante sync` runs all copies, `restante sync COPY` one; 'restante sync run --help' lists the options. --config
    FILE names the file of copies; docs/sync-configuration.md says what stands in it.

    \b
    Exit status (of several copies the last one listed here that applies):
      0   all is the same on both sides now
      4   removals are held, messages set aside, mailboxes left out, or a
          message may have been sent or not
      75  no connection, or a server that cannot now
      77  a login was refused, or there is no password or token
      1   anything else; stderr says what, and what to do
      2   a copy has no mailbox of a name that --only says, or none that its
          `mailboxes` names
    """


@click.command("run")
@click.argument("copies", metavar="[COPY]...", nargs=-1)
@click.option("--watch", "watching", is_flag=True, help="Stay, and carry changes of either side as they come.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@click.option("--only", multiple=True, metavar="MAILBOX", help="Look at this mailbox alone; may be given again.")
@click.option("--same-account", is_flag=True, help="The server or user has another name now, the account is the same.")
@click.option("--login", is_flag=True, help="Log in now, though the last login was refused.")
@click.option("--retry", is_flag=True, help="Try messages again now that were set aside.")
@click.option("--json", "as_json", is_flag=True, help="Print what was done as JSON, a line a run.")
@click.option("--quiet", "-q", is_flag=True, help="Say nothing of what went well.")
@with_place
@click.pass_context
def run_(
    ctx: click.Context,
    copies: tuple[str, ...],
    watching: bool,
    dry_run: bool,
    only: tuple[str, ...],
    same_account: bool,
    login: bool,
    retry: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Bring the copies named (all, where none is) in step, once or with --watch for as long as it runs.

    Ctrl-C and SIGTERM end it after the action under way; the next run goes on from there.
    """
    from .entry import SETTLED
    from .sync_run import Options, run_copies

    if watching and dry_run:
        raise click.UsageError("--watch and --dry-run do not go together.")
    found, data = load(copies)
    options = Options(watching, dry_run, only, as_json, quiet, same_account, login, retry)
    ctx.exit(run_copies(found, data, options, SETTLED))


def load(names: tuple[str, ...] = ()) -> tuple[Copies, Path]:
    """The copies of these names (all, where none is given), and the data folder. Raises Refusal."""
    place = place_of()
    return sync_ends.load(names, place.data, place.config)
