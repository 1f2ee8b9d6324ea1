"""Log lines: to stderr, one line an event, plain or JSON.

Whatever a value holds, it stays within its line: everything but a few harmless characters is quoted and
escaped, and long values are cut. A connection's lines start with `rip=` (the peer's address), so that
`auth failed rip=<HOST>` is a stable pattern for fail2ban. Never a password, never mail content: callers
name what they log, nothing is dumped, and of an exception only its type and place are shown.

A line that cannot be written (the disk that takes the log is full, or whoever reads it has gone) is left out: mail is
not kept from anybody for it. The next one that can be is led by one that says how many are missing.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import re
import sys
import threading
import traceback
from collections.abc import Callable, Mapping, MutableMapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, TextIO

import structlog
from structlog.typing import FilteringBoundLogger

from ..clock import Clock

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}

MAX_VALUE = 400
MAX_TRACEBACK = 8000

_PLAIN = re.compile(r"[A-Za-z0-9_.:/@+\-\[\]]+")
_EVENT = re.compile(r"[^A-Za-z0-9 _.:/,\-]")

Logger = FilteringBoundLogger

Render = Callable[[object, str, MutableMapping[str, Any]], str]
"""From an event to its line: structlog's processor, and the only one there is."""


def make_logger(level: str, form: str, clock: Clock, stream: TextIO | None = None) -> Logger:
    """A logger that writes to `stream` (stderr when None). form: "plain" or "json"; level: a key of LEVELS.

    Touches no global state: several servers in one process may each have their own.
    """
    processor = _processor(form, clock)
    logger: Logger = structlog.wrap_logger(
        Lines(processor, stream),
        processors=[processor],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        cache_logger_on_first_use=False,
    ).bind()  # what `wrap_logger` gives is put together anew for each line
    return logger


def adopt_logs(level: str, form: str, clock: Clock, stream: TextIO | None = None) -> None:
    """Let rooms that log through `structlog.get_logger` (delivery, demo), or `logging` (the store, which programs open
    that have no time to load structlog), write as `make_logger` does.

    Global, so for a program of ours alone: without it structlog would write to standard output in colours, and logging
    the message alone to standard error.
    """
    processor = _processor(form, clock)
    lines = Lines(processor, stream)
    structlog.configure(
        processors=[processor],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=lambda *_: lines,
        cache_logger_on_first_use=False,
    )
    logging.getLogger("restante").handlers = [_Handler(processor, lines, LEVELS[level])]


class _Handler(logging.Handler):
    """Writes what is logged through `logging`: the message is the event."""

    def __init__(self, render: Render, lines: Lines, level: int) -> None:
        super().__init__(level)
        self._render = render
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        fields: dict[str, Any] = {"event": record.getMessage()}
        if record.exc_info:
            fields["fault"] = record.exc_info[1]
        self._lines.msg(self._render(None, record.levelname.lower(), fields))


class Lines:
    """Where rendered lines go; implements what structlog asks of a logger. Never raises for a stream that fails.

    render: for a line of its own. stream: None for what stderr is when it is written to; a program that was
    started without one has none.
    """

    def __init__(self, render: Render, stream: TextIO | None = None) -> None:
        self._render = render
        self._stream = stream
        self._lock = threading.Lock()
        self._missing = 0
        self._reason = ""

    def msg(self, line: str) -> None:
        """Write a line, or count it as missing."""
        stream = self._stream or sys.stderr
        if stream is None:
            return
        with self._lock:
            try:
                if self._missing:
                    fields = {"event": "log lines are missing", "lines": self._missing, "reason": self._reason}
                    stream.write(f"{self._render(None, 'warning', fields)}\n")
                    stream.flush()
                    self._missing = 0
                stream.write(f"{line}\n")
                stream.flush()
            except (OSError, ValueError) as error:  # ValueError: it has been closed
                self._missing += 1
                self._reason = os.strerror((error.errno if isinstance(error, OSError) else None) or errno.EBADF)

    debug = info = warning = warn = error = critical = fatal = msg


def _processor(form: str, clock: Clock) -> Render:
    """The one step from an event to its line. An event may bring when it was ("at", seconds UTC)."""
    render = _render_json if form == "json" else _render_plain

    def processor(_logger: object, method: str, event: MutableMapping[str, Any]) -> str:
        now = event.pop("at", None) or clock.now()
        second = int(now)
        instant = f"{_second(second)}.{min(int(1000 * (now - second) + 0.0005), 999):03d}Z"
        name = _name(str(event.pop("event")))
        fault = event.pop("fault", None)
        fields = {key: _value(value) for key, value in event.items() if value is not None}
        if isinstance(fault, BaseException):
            fields["fault"] = type(fault).__name__
            fields["traceback"] = _cut(_frames(fault), MAX_TRACEBACK)
        return render(instant, method, name, fields)

    return processor


@lru_cache(maxsize=4)
def _second(second: int) -> str:
    """A second since 1970, as an instant without its end."""
    return datetime.fromtimestamp(second, UTC).isoformat()[:19]


@lru_cache(maxsize=256)
def _name(event: str) -> str:
    """An event's name, nothing in it that a line cannot have."""
    return _EVENT.sub("?", event)


def _render_plain(instant: str, level: str, event: str, fields: Mapping[str, object]) -> str:
    parts = [f"{key}={_quote(value)}" for key, value in fields.items()]
    return " ".join([instant, level, event, *parts])


def _render_json(instant: str, level: str, event: str, fields: Mapping[str, object]) -> str:
    return json.dumps({"time": instant, "level": level, "event": event, **fields}, ensure_ascii=True)


def _frames(fault: BaseException) -> str:
    """Where it happened, innermost last, causes first. The exception's own text is left out: it may quote
    octets of a peer's, a password or mail among them."""
    chain: list[BaseException] = []
    link: BaseException | None = fault
    while link is not None and len(chain) < 5:
        chain.append(link)
        link = link.__cause__ or link.__context__
    parts = []
    for one in reversed(chain):
        parts += [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(one.__traceback__)]
        parts.append(type(one).__name__)
    return " | ".join(parts)


def _value(value: object) -> object:
    if type(value) is str and len(value) <= MAX_VALUE:  # as nearly all are
        return value
    if isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, (bytes, bytearray)):
        return _cut(bytes(value[: MAX_VALUE + 1]).decode("ascii", "backslashreplace"), MAX_VALUE)
    return _cut(str(value), MAX_VALUE)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[:most] + "..."


def _quote(value: object) -> str:
    text = str(value)
    return text if _PLAIN.fullmatch(text) else json.dumps(text, ensure_ascii=True)
