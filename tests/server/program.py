"""A server as a program, for tests that start and kill it: `python -m tests.server.program DATA WORKERS [NAME=ADDR]`.

Serves Echo sessions. With the word `refuse` or `crash` in MODE every worker does so at its start; with `mail` it is a
mail server on the data, which closes files of accounts at once. GROWTH: octets by
which a process may grow; it then looks at itself all the time. GATE: a FIFO; where it is there, a worker that is being
born waits for somebody who opens it for writing, and closes it.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from restante.clock import Clock, Random
from restante.config.listen import parse_option
from restante.config.model import Config, ListenTable, ServerTable
from restante.errors import Refusal
from restante.server import growth
from restante.server.logs import Logger
from restante.server.main import Demo, serve
from restante.server.worker import Assembly
from restante.store.sqlite import engine, handles

from .support import EchoRoom


class Unfit(Refusal):
    """The store cannot be opened, let us say."""

    code = "UNFIT"


def main() -> int:
    mode = os.environ.get("MODE", "")
    most = int(os.environ.get("GROWTH", "0"))
    gate = Path(os.environ.get("GATE", "/nowhere"))
    growth.LOOK, growth.QUIET = 0.01, 0.0
    if mode == "mail":
        handles.IDLE, engine.SWEEP = 0.0, 0.05
    if os.environ.get("GROWN"):  # whatever it has taken: how much that is depends on who served whom
        growth.Growth._grown = lambda self: most + 1  # type: ignore[method-assign]  # put in its place
    room = EchoRoom()

    def build(config: Config, data: Path, clock: Clock, random: Random, log: Logger) -> Assembly:
        if mode == "refuse":
            raise Unfit("This store is of a newer version.", "Use the newer program.")
        if mode == "crash":
            os._exit(7)
        if gate.exists():
            gate.read_bytes()
        return room.build(config, data, clock, random, log)

    off = ListenTable(imap="off", imaps="off", pop3="off", pop3s="off", lmtp="off")
    listen: dict[str, str | list[str]] = dict(parse_option(option) for option in sys.argv[3:])
    config = Config(listen=off, server=ServerTable(drain=5.0, growth=most))

    def prepare() -> Demo:
        print("prepared")
        return Demo("demo@localhost", "demo")

    try:
        return serve(
            config,
            Path(sys.argv[1]),
            listen=listen,
            workers=int(sys.argv[2]),
            prepare=prepare if mode == "demo" else None,
            build=build if mode != "mail" else None,
        )
    except Refusal as refusal:
        print(refusal, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
