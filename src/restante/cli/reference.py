"""The command reference as Markdown, made from the commands themselves: `python -m restante.cli.reference`.

docs/cli.md is what this prints; a test compares them.
"""

from __future__ import annotations

import textwrap

import click

from .common import LazyGroup
from .main import restante
from .statuses import Exit

HEAD = """# Commands

Made from the commands by `python -m restante.cli.reference`. Every command takes `--data DIR` (where everything is
kept) and `--config FILE` (configuration, TOML), before or after its name, and `--help`. Results go to stdout, all else
to stderr. Commands work while the server runs.
"""


def reference() -> str:
    """All commands with their arguments and options, and the exit statuses."""
    parts = [HEAD]
    root = click.Context(restante, info_name="restante")
    for name in restante.list_commands(root):
        parts += _command(root, restante, name)
    parts.append("## Exit statuses\n\n| status | meaning |\n|---|---|")
    parts[-1] += "".join(f"\n| {int(status)} | {status.meaning} |" for status in Exit) + "\n"
    return "\n".join(parts)


def _command(parent: click.Context, group: click.Group, name: str) -> list[str]:
    command = group.get_command(parent, name)
    assert command is not None
    context = click.Context(command, info_name=name, parent=parent)
    below: list[str] = []
    if isinstance(command, LazyGroup):
        below = [part for each in command.list_commands(context) for part in _command(context, command, each)]
        if not command.invoke_without_command:
            return below
    pieces = command.collect_usage_pieces(context)
    usage = " ".join(
        piece for piece in pieces if piece != "[OPTIONS]" and not piece.startswith(("COMMAND", "[COMMAND"))
    )
    text = [f"## {context.command_path} {usage}".rstrip() + "\n", _paragraphs(command.help or "") + "\n"]
    options = [_option(each) for each in command.params if isinstance(each, click.Option) and each.expose_value]
    if options:
        text.append("\n".join(options) + "\n")
    return text + below


def _paragraphs(text: str) -> str:
    kept = []
    for paragraph in text.strip().split("\n\n"):
        lines = [line.rstrip() for line in paragraph.splitlines()]
        if lines[0].strip() == "\b":
            kept.append("```\n" + textwrap.dedent("\n".join(lines[1:])) + "\n```")
        else:
            kept.append(" ".join(line.strip() for line in lines))
    return "\n\n".join(kept)


def _option(option: click.Option) -> str:
    names = ", ".join([*option.opts, *option.secondary_opts])
    if isinstance(option.type, click.Choice):
        value = f" {'|'.join(map(str, option.type.choices))}"
    else:
        value = "" if option.is_flag else f" {option.metavar or option.type.name.upper()}"
    again = option.multiple and "may be given again" not in (option.help or "").lower()
    notes = [word for word, said in (("required", option.required), ("may be given again", again)) if said]
    tail = f" ({', '.join(notes)})" if notes else ""
    return f"- `{names}{value}`: {option.help or ''}{tail}"


if __name__ == "__main__":
    click.echo(reference(), nl=False)
