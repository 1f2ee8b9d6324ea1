"""`restante`: the root command. Finds the module of a subcommand by name and imports it only when it is used.

Start-up is felt by every person and every delivery by pipe, so `restante --help` imports click and this file
alone: names and one-line helps of the commands stand in `COMMANDS`, the rest in one module a command.
"""

from __future__ import annotations

import gc
import sys

import click

from .. import __version__
from .common import LazyGroup, Subcommand, with_place
from .statuses import Exit

COMMANDS = (
    Subcommand("serve", ".serve", "Run the server."),
    Subcommand("status", ".status", "Show listeners, connections, accounts and sizes."),
    Subcommand("domain", ".domain", "Add, list and remove domains."),
    Subcommand("account", ".account", "Add, list, change and remove accounts."),
    Subcommand("alias", ".alias", "Add, list and remove aliases."),
    Subcommand("acl", ".acl", "Show and change who may use whose mailboxes."),
    Subcommand("app-password", ".app_password", "Passwords for one application."),
    Subcommand("import", ".import_", "Bring mail in: mbox, Maildir, .eml files, archives."),
    Subcommand("export", ".export", "Take mail out as Maildir++ or mbox."),
    Subcommand("migrate", ".migrate", "Move an account from another server or from files, with a proof."),
    Subcommand("deliver", ".deliver", "Deliver the message on stdin (for an MTA's pipe)."),
    Subcommand("dedupe", ".dedupe", "Find messages that are there more than once; move all but one to the trash."),
    Subcommand("search", ".search", "List messages that hold given words."),
    Subcommand("undelete", ".undelete", "List removed messages and bring them back."),
    Subcommand("rewind", ".rewind", "Take an account back to what it was at an instant."),
    Subcommand("sync", ".sync", "Keep copies of mail accounts in step with their servers."),
    Subcommand("send", ".send", "Send the message on stdin, now or once there is a network."),
    Subcommand("backup", ".backup", "Back up all accounts, and restore."),
    Subcommand("doctor", ".doctor", "Check every invariant of the store."),
    Subcommand("config", ".config", "Check and show the configuration."),
)


class Root(LazyGroup):
    """The root command, whose help ends with what exit statuses mean."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Exit status"):
            formatter.write_dl([(f"{int(status):>2}", status.meaning) for status in Exit])


@click.group(
    cls=Root,
    commands=COMMANDS,
    package=__package__,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="restante")
@with_place
def restante() -> None:
    """Restante, a mail system: IMAP, POP3 and LMTP on one store.

    `restante serve --demo` starts a server with a demo account and prints what to type into a mail program.
    """


def main() -> None:
    """Entry point of the `restante` script."""
    try:
        sys.exit(restante.main(prog_name="restante", standalone_mode=True))
    finally:
        gc.freeze()  # the system takes all back at once: looking through it for garbage first took 25 ms
