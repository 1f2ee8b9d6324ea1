"""What all commands share: where the data lies, how a refusal is printed, how rows are listed.

Must not know: any single command, and anything of what rooms decide. Rooms are imported inside functions, so
that help and usage errors cost nothing.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import importlib
import sys
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from ..errors import Refusal
from .statuses import Exit
from .words import cell as cell
from .words import columns as columns
from .words import complain as complain
from .words import count as count
from .words import human_size as human_size
from .words import status_of as status_of

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., object])


class NotHere(Refusal):
    """Something named on the command line does not exist."""

    code = "NOT-FOUND"


@dataclass
class Place:
    """Where a command works: `--data` and `--config`, given before or after the subcommand (the later wins)."""

    data: Path | None = None
    config: Path | None = None


@dataclass(frozen=True, slots=True)
class Subcommand:
    """A command that is not imported yet. module: relative to its group's package, "module:attribute"; the
    attribute is `command` unless said."""

    name: str
    module: str
    help: str


class LazyGroup(click.Group):
    """A group whose commands are imported when they are run, and that prints a Refusal as two lines."""

    def __init__(self, *args: Any, commands: Sequence[Subcommand], package: str, **kwargs: Any) -> None:
        # Any: click's own constructor arguments pass through unchanged.
        super().__init__(*args, **kwargs)
        self._lazy = {each.name: each for each in commands}
        self._package = package

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self._lazy)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        known = self._lazy.get(cmd_name)
        if known is None:
            return None
        module, _, attribute = known.module.partition(":")
        found = getattr(importlib.import_module(module, self._package), attribute or "command")
        assert isinstance(found, click.Command)
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] in self._lazy:
            return super().resolve_command(ctx, args)
        import difflib

        close = difflib.get_close_matches(args[0], self._lazy, 1)
        if close and not args[0].startswith("-"):
            ctx.fail(f"There is no command '{args[0]}'. Did you mean '{close[0]}'?")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(each.name, each.help) for each in self._lazy.values()])

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except Refusal as refusal:
            complain(refusal)
            ctx.exit(status_of(refusal))
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            # what rooms write is theirs to refuse: this is the disk that the output goes to
            complain(Refusal(f"The output cannot be written ({error.strerror}).", "Free some space there."))
            ctx.exit(Exit.REFUSED)


def place_of(ctx: click.Context | None = None) -> Place:
    """The invocation's one Place, shared by the root and every subcommand."""
    return (ctx or click.get_current_context()).find_root().ensure_object(Place)


def _remember(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    if value is not None:
        setattr(place_of(ctx), param.name or "", Path(value))


def with_place(function: F) -> F:
    """Give a command `--data` and `--config`; the values land in the Place, not in the function's arguments.

    Nothing is checked here: what is wrong with a folder or file is a Refusal of the room that opens it, and so
    never a usage error, which an MTA would take for a reason to bounce.
    """
    for option in (
        click.option(
            "--config",
            metavar="FILE",
            expose_value=False,
            callback=_remember,
            help="Configuration file (TOML).",
        ),
        click.option(
            "--data",
            metavar="DIR",
            expose_value=False,
            callback=_remember,
            help="Where everything is kept.",
        ),
    ):
        function = option(function)
    return function


with_json = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
with_yes = click.option("--yes", is_flag=True, help="Do not ask.")


def run(work: Coroutine[object, object, T]) -> T:
    """Run a command's asynchronous part to its end."""
    import asyncio

    return asyncio.run(work)


def emit(rows: Sequence[Any], as_json: bool, empty: str = "") -> None:
    """Print dataclass rows as a table (one line each, headed) or as a JSON array.

    rows: instances of one frozen dataclass (Any: msgspec and dataclasses take any). empty: what to say on
    stderr when there is nothing.
    """
    if as_json:
        emit_json(list(rows))
        return
    if not rows:
        if empty:
            click.echo(empty, err=True)
        return
    names = [each.name for each in dataclasses.fields(rows[0])]
    lines = [[name.replace("_", " ").upper() for name in names]]
    lines += [[cell(getattr(row, name)) for name in names] for row in rows]
    widths = [max(columns(line[i]) for line in lines) for i in range(len(names))]
    for line in lines:
        padded = [text + " " * (width - columns(text)) for text, width in zip(line, widths, strict=True)]
        click.echo("  ".join(padded).rstrip())


def emit_one(row: Any, as_json: bool) -> None:
    """Print one dataclass instance, a line a field, or as a JSON object."""
    if as_json:
        emit_json(row)
        return
    names = [each.name for each in dataclasses.fields(row)]
    width = max(map(len, names))
    for name in names:
        click.echo(f"{name.replace('_', ' ').ljust(width)}  {cell(getattr(row, name))}")


def emit_json(value: object) -> None:
    """Print one JSON document (dataclasses, lists, plain values), indented, in UTF-8 whatever the locale is (RFC 8259
    8.1).

    Octets of a file's name that are no UTF-8 become U+FFFD, since JSON has none.
    """
    import msgspec

    try:
        encoded = msgspec.json.encode(value)
    except UnicodeEncodeError:
        encoded = msgspec.json.encode(_encodable(msgspec.to_builtins(value)))
    click.echo(msgspec.json.format(encoded, indent=2))


def _encodable(value: Any) -> Any:
    """Plain values without lone surrogates."""
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    if isinstance(value, dict):
        return {_encodable(key): _encodable(one) for key, one in value.items()}
    return [_encodable(one) for one in value] if isinstance(value, list | tuple) else value


class SizeType(click.ParamType[int]):
    """Octets, as a number or with a unit: 500 MB, 2GiB."""

    name = "size"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        from ..config.load import parse_size

        try:
            return parse_size(str(value))
        except ValueError as error:
            self.fail(f"{error}.", param, ctx)


class AddressType(click.ParamType[str]):
    """An account's address in the form in which addresses are kept; what is none as it is: nobody has it."""

    name = "address"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        from ..accounts.address import kept_form

        return kept_form(str(value))


@dataclass(frozen=True, slots=True)
class Expiry:
    """An instant (seconds UTC), or a time from now (seconds)."""

    seconds: int
    relative: bool

    def after(self, now: float) -> int:
        """The instant, seconds UTC."""
        return int(now) + self.seconds if self.relative else self.seconds


class ExpiryType(click.ParamType[Expiry]):
    """An RFC 3339 date or date-time (UTC where no zone is given), or a duration such as "90 d"."""

    name = "when"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Expiry:
        import datetime

        from ..config.load import parse_duration

        if isinstance(value, Expiry):
            return value
        text = str(value)
        if "-" in text:
            try:
                moment = datetime.datetime.fromisoformat(text)
                if moment.tzinfo is None:
                    moment = moment.replace(tzinfo=datetime.UTC)
                return Expiry(int(moment.timestamp()), relative=False)
            except (ValueError, OverflowError):
                self.fail(f'"{text}" is no date; write "2027-12-31", for example.', param, ctx)
        try:
            return Expiry(int(parse_duration(text)), relative=True)
        except ValueError as error:
            self.fail(f"{error}.", param, ctx)


def instant(seconds: int | float | None) -> str | None:
    """Seconds UTC as RFC 3339 text; None stays None, and is what no calendar has: somebody has forged it."""
    import datetime

    if seconds is None:
        return None
    start = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
    try:
        return (start + datetime.timedelta(seconds=int(seconds))).strftime("%Y-%m-%dT%H:%M:%SZ")
    except OverflowError:
        return None


@contextlib.contextmanager
def heeding_interrupts() -> Iterator[None]:
    """While stdin is waited for, Ctrl-C ends the command at once.

    An event loop's own handler cancels its task, which takes note of that behind the answer only: the first Ctrl-C at a
    question went unheard. Raises KeyboardInterrupt where one came before. Who was started to pass interrupts over (a
    script's job in the background) does so here, too.
    """
    import asyncio
    import signal

    with contextlib.suppress(RuntimeError):  # no loop runs
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise KeyboardInterrupt
    former = signal.getsignal(signal.SIGINT)
    if former is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, former)


def confirm(question: str, yes: bool) -> None:
    """Ask before something is destroyed: on a terminal; elsewhere --yes is needed."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise Refusal(f"{question} Not done: nobody to ask.", "Say --yes to do it without being asked.")
    with heeding_interrupts():
        agreed = click.confirm(f"{question} Go on?", err=True)
    if not agreed:
        raise Refusal("Nothing was done.")


def old_hash(text: str | None, password_stdin: bool) -> str | None:
    """What --hash gave: a hash, the first line of stdin for "-", None where it was not said."""
    if text is None:
        return None
    if password_stdin:
        raise Refusal("A password and a hash were given.", "Say --password-stdin or --hash.")
    if text != "-":
        return text
    with heeding_interrupts():
        return sys.stdin.readline().rstrip("\r\n")


def new_password(from_stdin: bool) -> str:
    """A new password: the first line of stdin, or asked for twice on a terminal."""
    if from_stdin:
        with heeding_interrupts():
            password = sys.stdin.readline().rstrip("\r\n")
    elif sys.stdin.isatty():
        with heeding_interrupts():
            password = str(click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True))
    else:
        raise Refusal("No password was given.", "Say --password-stdin and write it to stdin, or use a terminal.")
    if not password:
        raise Refusal("The password is empty.", "Give at least one character.")
    return password
