"""A run as one line of JSON, for scripts."""

from __future__ import annotations

import msgspec

from ..sync.copy import RunReport
from .common import instant


def line(report: RunReport) -> str:
    """{"copy", "cause", "started", "seconds", "sync", "fetched", "outbox", "problem"}; what did not happen is null."""
    outbox, problem = report.outbox, report.problem
    value = {
        "copy": report.name,
        "cause": report.cause.value,
        "started": instant(report.started),
        "seconds": round(report.seconds, 3),
        "sync": report.sync,
        "fetched": report.fetched,
        "outbox": None
        if outbox is None
        else {each: getattr(outbox, each) for each in ("sent", "returned", "waiting", "uncertain")},
        "problem": None if problem is None else {"code": problem.code, "text": problem.text, "remedy": problem.remedy},
    }
    return msgspec.json.encode(value).decode()
