#!/usr/bin/env python3
"""How cost grows as the answer grows: with messages, with connections, with accounts; tables and pictures of it.

usage: bench/growth.py [STEP ...] [--json FILE] [--sizes N,N,...] [--connections N,...] [--accounts N,...]
                       [--note TEXT] [--markdown FILE] [--pictures FOLDER]

Steps: messages, connections, accounts, show (none named: all). Each measures on a server of its own in a temporary
folder and writes what it found into the JSON file at once, beside what other runs wrote there, so that a step, or a
single size of it, can be run again alone. `show` measures nothing: table and pictures are made of the file.

A mailbox of 1,000,000 messages takes 4 GB below $TMPDIR and some ten minutes to make and index. A command whose answer
names every message may grow with it; one whose answer stays the same must not.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path

import growth_crowds
import growth_messages
from compare import machine
from growth_show import pictures, tables

STEPS = ("messages", "connections", "accounts", "show")


def numbers(text: str) -> list[int]:
    return [int(one.replace("_", "")) for one in text.split(",")]


def keep(file: Path, step: str, found: dict[str, dict[str, dict[str, float]]]) -> None:
    """Put figures into the file, in the place of older ones of the same size."""
    known = json.loads(file.read_text()) if file.exists() else {}
    known["machine"] = machine()
    known["date"] = str(datetime.now(tz=UTC).date())
    known.setdefault(step, {}).update(found)
    file.write_text(json.dumps(known, indent=1) + "\n")


def tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def run(options: argparse.Namespace, steps: Iterable[str]) -> None:
    file: Path = options.json
    one: Callable[[int, Callable[[str], None]], dict[str, dict[str, float]]]
    for step, one, counts in (
        ("messages", growth_messages.grown, options.sizes),
        ("accounts", growth_crowds.accounts, options.accounts),
    ):
        for count in counts if step in steps else ():
            keep(file, step, {str(count): one(count, tell)})
    if "connections" in steps:
        keep(file, "connections", growth_crowds.connections(options.connections, tell))


def main() -> int:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("steps", nargs="*", choices=[*STEPS, []], metavar="STEP")
    p.add_argument("--json", type=Path, default=Path("growth.json"), help="where figures are kept (growth.json)")
    p.add_argument("--sizes", type=numbers, default=[1_000, 10_000, 100_000, 1_000_000])
    p.add_argument("--connections", type=numbers, default=[1, 2, 4, 8, 16])
    p.add_argument("--accounts", type=numbers, default=[10, 100, 1_000, 10_000])
    p.add_argument("--note", help="what is to be known of the machine: kept with the figures, said beside them")
    p.add_argument("--markdown", type=Path, help="write the tables there too")
    p.add_argument("--pictures", type=Path, help="write growth-*.svg into this folder")
    options = p.parse_args()
    steps = options.steps or STEPS
    run(options, steps)
    if options.note is not None:
        known = json.loads(options.json.read_text()) | {"note": options.note}
        options.json.write_text(json.dumps(known, indent=1) + "\n")
    if "show" in steps:
        known = json.loads(options.json.read_text())
        report = tables(known)
        print(report)
        if options.markdown:
            options.markdown.write_text(report)
        if options.pictures:
            options.pictures.mkdir(parents=True, exist_ok=True)
            for name, picture in pictures(known).items():
                (options.pictures / name).write_text(picture)
    return 0


if __name__ == "__main__":
    sys.exit(main())
