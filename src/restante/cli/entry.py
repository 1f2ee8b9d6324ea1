"""Where the `restante` program begins.

A run of `restante sync` with nothing to do, which comes each minute, and one of `restante backup` are recognised before
anything is imported that reads command lines (`sync.unchanged`, `backup.unchanged`), and so is one of `restante backup`
with little to do (`cli.backup_aside`). Everything else, and a copy of which that cannot be said, goes to `main`: there
the options are defined, and what is understood here is the plainest part of them.
"""

from __future__ import annotations

import gc
import io
import os
import sys

TYPE_CHECKING = False  # checkers take it for true; typing's own is had by importing typing, a fifth of a run's time
if TYPE_CHECKING:
    from collections.abc import Collection
    from typing import NoReturn

GARBAGE = 100_000
"""Objects made, and not freed by counting references, after which a run of `restante sync` looks for garbage."""

COMMANDS = (["run"], ["init"], ["list"], ["status"], ["removals"], ["fetch"])
"""Words that name no copy where they come first (`sync.SUBCOMMANDS`)."""

SETTLED: list[str] = []
"""Copies of this invocation that are done: nothing had changed."""


def main() -> None:
    """Entry point of the `restante` script."""
    write_anything()
    arguments = sys.argv[1:]
    try:
        _begin(arguments)
    except KeyboardInterrupt:  # while modules are loaded, before the command has its own way with it
        _aborted()
        sys.exit(1 if plain_sync(arguments) is None else 75)  # Exit.TEMPORARY, as a whole run that a signal ends
    except Exception:  # modules that cannot be loaded, while a package is upgraded, are no reason to bounce
        if _command(arguments) != "deliver":
            raise
        import traceback

        traceback.print_exc()
        sys.exit(75)  # Exit.TEMPORARY


def _aborted() -> None:
    """As click has it."""
    if sys.stderr is not None:  # it was closed before we began
        sys.stderr.write("\nAborted!\n")


def _begin(arguments: list[str]) -> None:
    completing = "_RESTANTE_COMPLETE" in os.environ
    plain = plain_sync(arguments)
    if plain is not None:
        # What is imported stays: to look through it for garbage again and again took a tenth of a run.
        gc.set_threshold(GARBAGE)
    if plain is not None and not completing:
        if settle(*plain):
            end(0)
        if plain[2][:1] not in COMMANDS:
            _run(*plain)
    backup = _command(arguments) == "backup" and not completing
    if backup:
        begin_backup(arguments)
    from .main import main as whole

    try:
        whole()
    except SystemExit as last:
        import threading

        # What a thread still does is waited for, as the interpreter does it.
        if (plain is not None or backup) and isinstance(last.code, int) and threading.active_count() == 1:
            end(last.code)
        raise


def write_anything() -> None:
    """Let stdout take what its encoding has not (mail in a terminal of ISO 8859-1, a file's name that is no UTF-8): it
    is written as an escape, as on stderr. An error there would be told with a traceback, and half of a list be lost."""
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")


def _run(data: str, config: str, names: list[str], quiet: bool) -> NoReturn:
    """A whole run of these copies but for those that are settled. Click is not needed for it, nor loaded."""
    from .sync_run import run_plain

    leave(run_plain(data, config, names, quiet, SETTLED))


def leave(status: int) -> NoReturn:
    """End the process, at once where no thread is left."""
    import threading

    if threading.active_count() == 1:
        end(status)
    sys.exit(status)  # what a thread still does is waited for, as the interpreter does it


def end(status: int) -> NoReturn:
    """End the process at once. Taking apart what was imported is a tenth of a run, and nothing is left to be done: the
    sides are closed, what was to be written is on disk."""
    try:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:  # it was closed before we began
                stream.flush()
    except (OSError, ValueError):
        sys.exit(status)  # nobody reads what was said: the interpreter has its own way to deal with that
    os._exit(status)


def _command(arguments: list[str]) -> str:
    """The first word that is no option, nor the value of one."""
    at = 0
    while at < len(arguments) and arguments[at].startswith("-"):
        at += 2 if arguments[at] in ("--data", "--config") else 1
    return arguments[at] if at < len(arguments) else ""


def begin_backup(arguments: list[str]) -> None:
    """Begin with what takes longest in a command of `restante backup`, making a passphrase's key. A run with nothing to
    do ends here, and most of those with little."""
    gc.disable()  # what is loaded stays: looking for garbage in it is a tenth of loading it. See `open_repository`
    begin_key(arguments)
    from .backup_again import plain_run
    from .backup_again import settle as settle_run

    run = plain_run(arguments)
    if run is None:
        return
    try:
        line = settle_run(run)
        status = _run_aside(run) if line is None else None
    except KeyboardInterrupt:
        _aborted()  # as a whole run that a signal ends
        sys.exit(1)
    except BrokenPipeError:
        _to_nowhere()
        sys.exit(1)  # as click has it
    if line is not None:
        _say(line + "\n")
        end(0)
    if status is not None:
        leave(status)


def _run_aside(run: dict[str, str]) -> int | None:
    from .backup_aside import run_aside

    return run_aside(run)


def begin_key(arguments: list[str]) -> None:
    """Where a backup in a folder and the file of its passphrase are named, begin to make the key."""
    file, places = "", []
    for at, word in enumerate(arguments):
        option, equals, value = word.partition("=")
        if option == "--passphrase-file":
            file = value if equals else "".join(arguments[at + 1 : at + 2])
        elif equals and option == "--location":
            places.append(value)
        else:
            places.append(word)  # where a location is not, looking costs nothing
    if not file:
        return
    from ..backup import ahead

    passphrase = ahead.passphrase_in(file)
    if passphrase is not None:
        any(ahead.begin(place, passphrase) for place in places if place)


def split_line(arguments: list[str], options: Collection[str]) -> tuple[dict[str, str], list[str]] | None:
    """What a command line says of these options, which each have a value ("" for what it does not say), and its other
    words in their order. None where a value is missing, or looks like an option."""
    said = dict.fromkeys(options, "")
    words: list[str] = []
    at = 0
    while at < len(arguments):
        word = arguments[at]
        option, equals, value = word.partition("=")
        at += 1
        if option not in said:
            words.append(word)
            continue
        if not equals:
            value = arguments[at] if at < len(arguments) else ""
            at += 1
        if not value or value.startswith("-"):
            return None
        said[option] = value
    return said, words


def plain_sync(arguments: list[str]) -> tuple[str, str, list[str], bool] | None:
    """(data folder, file of copies, copies, quiet) of `restante sync`: what was not said is "". None where anything
    else is written than names of copies, --data, --config and --quiet."""
    split = split_line(arguments, ("--data", "--config"))
    if split is None:
        return None
    place, rest = split
    words: list[str] = []
    quiet = False
    for word in rest:
        if words and word in ("-q", "--quiet"):
            quiet = True
        elif word.replace("-", "").replace("_", "").isalnum() and word[0] != "-":
            words.append(word)
        else:
            return None
    if words[:1] != ["sync"]:
        return None
    return place["--data"], place["--config"], words[1:], quiet


def settle(data: str, config: str, names: list[str], quiet: bool) -> bool:
    """Say of copies, one after the other, that nothing had changed, as long as that can be said; whether it was said of
    all. The others are for a whole run."""
    from ..machine import SystemClock
    from ..sync.unchanged.again import find, unchanged

    if not config:
        from ..sync.where import config_path

        config = config_path()
    said = bool(data)
    if not said:
        from ..config.where import data_path

        data = data_path()
    found = find(data, os.path.abspath(config), names, data_said=said)  # noqa: PTH100 (pathlib is not loaded)
    wanted = list(dict.fromkeys(names or (found[0][1].names if found else ())))
    clock = SystemClock()
    try:
        for name, record in found:
            if not unchanged(data, name, record, clock):
                return False
            SETTLED.append(name)
            if not quiet:
                _say(f"{name}: nothing had changed.\n")
    except KeyboardInterrupt:
        sys.exit(75)  # statuses.Exit.TEMPORARY: as a whole run that a signal ends
    return bool(wanted) and wanted == SETTLED


def _say(line: str) -> None:
    if sys.stdout is None:
        return
    try:
        sys.stdout.write(line)
        sys.stdout.flush()
    except BrokenPipeError:  # who read this has gone; see `sync_run`
        _to_nowhere()


def _to_nowhere() -> None:
    """Nobody reads stdout any more: what is left in its buffer must not fail once more at the end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
