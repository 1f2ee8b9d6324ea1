"""Tables and pictures of what bench/growth.py measured; they know nothing but its figures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from growth_messages import GROWS
from picture import chart

Known = Mapping[str, Mapping[str, Mapping[str, Mapping[str, float]]]]
"""Step, size, what, figures."""

_SAME = (
    "SELECT", "NOOP", "STATUS", "FETCH of the last one's body", "FETCH of the last 50, as a list shows them",
    "SEARCH TEXT of a rare word", "delivery by LMTP", "APPEND", "QRESYNC, 100 changes",
)  # fmt: skip
_GROWING = (
    "FETCH of all FLAGS", "FETCH of all ENVELOPE BODYSTRUCTURE", "FETCH of all bodies", "SEARCH UNSEEN",
    "SEARCH SUBJECT", "SORT by date", "THREAD=REFERENCES", "STORE +FLAGS of all", "COPY of all", "EXPUNGE of all",
)  # fmt: skip
_CROWDS = (
    "delivery into one account",
    "delivery into an account for each connection",
    "visit of a mail application",
)


def duration(seconds: float) -> str:
    for unit, name in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if seconds >= unit * 0.9995 or name == "µs":
            value = seconds / unit
            return f"{value:,.0f} {name}" if value >= 99.5 else f"{value:.3g} {name}"
    raise ValueError(seconds)


def octets(count: float) -> str:
    return f"{count / 1e6:,.0f} MB" if count >= 1e6 else f"{count / 1e3:,.3g} kB"


def rate(value: float) -> str:
    return f"{value:,.0f}/s"


def _sizes(step: Mapping[str, object]) -> list[str]:
    return sorted(step, key=int)


def tables(known: Known) -> str:
    """Markdown of all steps that were measured."""
    out = [
        "`bench/growth.py`, " + ", ".join(str(known[each]) for each in ("date", "machine", "note") if each in known),
        "",
    ]
    for step, make in (("messages", _messages), ("connections", _connections), ("accounts", _accounts)):
        if step in known:
            out += [*make(known[step]), ""]
    return "\n".join(out)


def _head(first: str, columns: Iterable[str]) -> list[str]:
    names = list(columns)
    return [f"| {first} | {' | '.join(names)} |", "|---|" + "---:|" * len(names)]


def _messages(step: Mapping[str, Mapping[str, Mapping[str, float]]]) -> list[str]:
    sizes = _sizes(step)
    out = _head("work, by messages in the mailbox", [f"{int(n):,}" for n in sizes] + ["growth, last step", "worker"])
    for grows in (False, True):
        for name in (name for name in GROWS if GROWS[name] is grows):
            rows = [step[n].get(name, {}) for n in sizes]
            cells = [_time(row) for row in rows]
            memory = octets(rows[-1]["rss"]) if "rss" in rows[-1] else ""
            mark = "" if grows else " (same answer)"
            out.append(f"| {name}{mark} | {' | '.join(cells)} | {_factor(rows)} | {memory} |")
    for name, text in (("account", "the account's file"), ("index", "its search index")):
        out.append(f"| {text} | {' | '.join(octets(step[n]['files'][name]) for n in sizes)} | | |")
    return out


def _time(row: Mapping[str, float]) -> str:
    if not row:
        return ""
    return duration(row["s"]) + (f" ({duration(row['cpu'])})" if "cpu" in row else "")


def _factor(rows: list[Mapping[str, float]]) -> str:
    """By processor time where it is known: other work on the machine does not change it."""
    if len(rows) < 2 or not rows[-1] or not rows[-2]:
        return ""
    which = "cpu" if "cpu" in rows[-1] and "cpu" in rows[-2] else "s"
    return f"{rows[-1][which] / rows[-2][which]:.1f}x"


def _connections(step: Mapping[str, Mapping[str, Mapping[str, float]]]) -> list[str]:
    sizes = _sizes(step)
    out = _head("work, by connections at the same time", sizes)
    for name in _CROWDS:
        cells = [f"{rate(step[n][name]['per_s'])} ({duration(step[n][name]['cpu'])})" for n in sizes]
        out.append(f"| {name} | {' | '.join(cells)} |")
    return out


def _accounts(step: Mapping[str, Mapping[str, Mapping[str, float]]]) -> list[str]:
    sizes = _sizes(step)
    out = _head("work, spread over so many accounts", [f"{int(n):,}" for n in sizes])
    for name in ("delivery", "delivery again", "login + SELECT", "login + SELECT again"):
        cells = [f"{rate(step[n][name]['per_s'])} ({duration(step[n][name]['cpu'])})" for n in sizes]
        out.append(f"| {name} | {' | '.join(cells)} |")
    for name in ("at the start", "delivery again", "login + SELECT again"):
        text = "memory of all processes " + ("" if name == "at the start" else "after ") + name
        out.append(f"| {text} | {' | '.join(octets(step[n][name]['pss']) for n in sizes)} |")
    made = " | ".join(
        f"{rate(step[n]['account made']['per_s'])}, {octets(step[n]['account made']['disk'])}" for n in sizes
    )
    out.append(f"| accounts made, and on disk each | {made} |")
    return out


def pictures(known: Known) -> dict[str, str]:
    """SVG by file name."""
    below = ", ".join(str(known[each]) for each in ("date", "machine", "note") if each in known)
    found: dict[str, str] = {}

    def draw(
        file: str, step: str, names: Iterable[str], which: str, title: str, across: str, figure: Callable[[float], str]
    ) -> None:
        lines = {
            name: [(int(n), row[name][which]) for n, row in known[step].items() if which in row.get(name, {})]
            for name in names
        }
        found[file] = chart(
            title, below, across, {name: line for name, line in lines.items() if line}, figure, slope=step == "messages"
        )

    if "messages" in known:
        across = "messages in the mailbox; processor time of the worker"
        draw("growth-same.svg", "messages", _SAME, "cpu", "The same answer: the same time", across, duration)
        title = "Answers that name every message, and the dashed line: in proportion"
        draw("growth-all.svg", "messages", _GROWING, "cpu", title, across, duration)
        across = "messages in the mailbox"
        draw("growth-memory.svg", "messages", _GROWING, "rss", "The worker's largest memory meanwhile", across, octets)
    if "connections" in known:
        across = "connections at the same time"
        draw("growth-connections.svg", "connections", _CROWDS, "per_s", "Done in a second", across, rate)
        title = "Processor time of the server for each"
        draw("growth-connections-cpu.svg", "connections", _CROWDS, "cpu", title, across, duration)
    if "accounts" in known:
        names, across = ("delivery again", "login + SELECT again"), "accounts that it is spread over"
        draw("growth-accounts.svg", "accounts", names, "per_s", "Done in a second", across, rate)
        title = "Processor time of the server for each"
        draw("growth-accounts-cpu.svg", "accounts", names, "cpu", title, across, duration)
        title = "Memory of all the server's processes, at work"
        draw("growth-accounts-memory.svg", "accounts", ("at the start", *names), "pss", title, across, octets)
    return found
