"""`restante config`: what is configured, and whether it is right."""

from __future__ import annotations

import click

from .common import LazyGroup, Subcommand, place_of, with_json, with_place

SUBCOMMANDS = (
    Subcommand("check", ".config:check", "Check the configuration file."),
    Subcommand("show", ".config:show", "Print what is in effect, or every key with its default."),
)


@click.group(cls=LazyGroup, commands=SUBCOMMANDS, package=__package__)
@with_place
def command() -> None:
    """Check and show the configuration."""


@click.command()
@click.argument("file", required=False, type=click.Path(dir_okay=False))
@with_place
def check(file: str | None) -> None:
    """Check FILE (or the file that --config names): every key known, every value usable."""
    from pathlib import Path

    from .installation import load_config

    place = place_of()
    if file is not None:
        place.config = Path(file)
    if place.config is None:
        raise click.UsageError("Name a file: 'restante config check FILE'.")
    load_config(place)
    click.echo(f"{place.config} is right.")


@click.command()
@click.option(
    "--default", "default", is_flag=True, help="Every key, documented, with its default: a file to start from."
)
@with_json
@with_place
def show(default: bool, as_json: bool) -> None:
    """Print the configuration that is in effect, as TOML."""
    from ..config.model import Config
    from ..config.show import default_text, effective_json, effective_toml
    from .installation import load_config

    if default:
        click.echo(effective_json(Config()) if as_json else default_text(), nl=False)
        return
    config, _ = load_config(place_of())
    click.echo(effective_json(config) if as_json else effective_toml(config), nl=False)
