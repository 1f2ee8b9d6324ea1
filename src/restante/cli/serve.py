"""`restante serve`: the server, in the foreground."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from .common import place_of, run, with_place


@click.command()
@click.option(
    "--listen",
    "listeners",
    multiple=True,
    metavar="NAME=ADDR:PORT",
    help="Replace a listener: imap, imaps, pop3, pop3s or lmtp; NAME=off switches it off, lmtp=unix:/PATH is a "
    "socket. May be given again.",
)
@click.option("--workers", type=click.IntRange(1, 1024), metavar="N", help="Server processes. Default: one a core.")
@click.option("--demo", is_flag=True, help="Make a demo account with mail to try, and print how to log in.")
@click.option(
    "--mail",
    type=click.Path(exists=True, path_type=Path),
    metavar="FOLDER",
    help="With --demo: import this mail into the demo account too.",
)
@with_place
def command(listeners: tuple[str, ...], workers: int | None, demo: bool, mail: Path | None) -> None:
    """Run the server until Ctrl-C. Prints a line a listener, then `ready`."""
    from ..config.listen import parse_option
    from ..server.main import Demo, serve
    from .installation import check_owner, load_config

    if mail is not None and not demo:
        raise click.UsageError("--mail goes with --demo; use 'restante import' for an account of your own.")
    place = place_of()
    config, data = load_config(place)
    check_owner(data)
    listen: dict[str, str | list[str]] = {}
    for option in listeners:
        name, value = parse_option(option)
        before = listen.get(name)
        if before is None or value == "off":  # off is off, whatever stands before it
            listen[name] = value
        else:
            listen[name] = [*([before] if isinstance(before, str) else before), value]

    def prepare() -> Demo:
        return Demo(*run(_demo(mail)))

    sys.exit(
        serve(
            config,
            data,
            config_file=place.config,
            listen=listen,
            workers=workers,
            prepare=prepare if demo else None,
        )
    )


async def _demo(mail: Path | None) -> tuple[str, str]:
    from ..demo.install import install
    from .installation import installation
    from .progress import Meter

    async with installation(begin=True) as here:
        return await install(here.engine, here.admin, here.data, here.limits, mail, Meter)
