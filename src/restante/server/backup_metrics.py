"""The backup's numbers for Prometheus, in its text format 0.0.4: for `backup status --metrics` and a file that
node_exporter's textfile collector reads.

Made from the small files in the data folder, so that whoever asks sees the same. What never happened has no sample:
`absent` and `or` say that in a query, and no zero passes for 1970. Instants are told, not ages: a file that nobody
writes any more grows old by itself.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..config.model import Config
from .backup_records import DrillRecord, VerifyRecord, read_drill, read_verify
from .nightly_state import Nights, read_nights


@dataclass(frozen=True, slots=True)
class Metric:
    """One sample and what stands above it. kind: "gauge" or "counter" (whose name ends in _total)."""

    name: str
    kind: str
    help: str
    value: float


def metrics_of(config: Config, data: Path) -> str:
    """All that is known, as text. Raises OSError."""
    location = config.backup.location
    found = [
        *_nights(read_nights(data)),
        *_verify(read_verify(data, location)),
        *_drill(read_drill(data, location)),
    ]
    return "".join(map(exposed, found))


def exposed(metric: Metric) -> str:
    """Its lines. A help holds no line end, and its backslashes are doubled."""
    name = f"restante_backup_{metric.name}"
    text = metric.help.replace("\\", "\\\\").replace("\n", " ")
    return f"# HELP {name} {text}\n# TYPE {name} {metric.kind}\n{name} {metric.value!r}\n"


def write_metrics(config: Config, data: Path) -> None:
    """Replace the configured file, if one is: readable by all, since another user reads it. Raises OSError."""
    if not config.backup.metrics_file:
        return
    target = Path(config.backup.metrics_file)
    making = target.with_name(f".{target.name}.{os.getpid()}.new")  # which the collector passes over
    try:
        with making.open("w", encoding="utf-8") as stream:
            os.fchmod(stream.fileno(), 0o644)
            stream.write(metrics_of(config, data))
        making.replace(target)
    finally:
        making.unlink(missing_ok=True)


def _nights(nights: Nights | None) -> Iterator[Metric]:
    if nights is None:
        return
    yield Metric("since_timestamp_seconds", "gauge", "When the nightly backup was first scheduled.", nights.since)
    if nights.success is not None:
        text = "When the last good night ended."
        yield Metric("last_success_timestamp_seconds", "gauge", text, nights.success)
        yield Metric("last_duration_seconds", "gauge", "How long the last good night took.", nights.seconds)
        yield Metric("last_written_bytes", "gauge", "What the last good night wrote.", float(nights.written))
        yield Metric("last_messages", "gauge", "Messages that the last good night read.", float(nights.messages))
    if nights.failure is not None:
        yield Metric("last_failure_timestamp_seconds", "gauge", "When the last bad night ended.", nights.failure)
    yield Metric("failing", "gauge", "1 if the last night was a bad one.", float(nights.failing))
    yield Metric("nights_total", "counter", "Nights that were brought to an end, good or bad.", float(nights.nights))
    yield Metric("failures_total", "counter", "Bad nights.", float(nights.failures))
    yield Metric(
        "retries_total", "counter", "Attempts that were followed by another in a night.", float(nights.retries)
    )
    if nights.next is not None:
        yield Metric("next_timestamp_seconds", "gauge", "When the next night, or attempt, is due.", nights.next)


def _verify(record: VerifyRecord | None) -> Iterator[Metric]:
    if record is None:
        return
    seen = record.checked
    yield Metric("verify_timestamp_seconds", "gauge", "When the backup was last read back, or a share.", record.last)
    text = "Part of all octets that has been read back within thirty days."
    yield Metric("verified_ratio", "gauge", text, seen.fresh)
    if seen.oldest is not None:
        text = "When what was read back longest ago was."
        yield Metric("verify_oldest_timestamp_seconds", "gauge", text, float(seen.oldest))
    yield Metric("damaged_files", "gauge", "What the last verification found damaged or missing.", float(seen.damaged))
    yield Metric("lost_messages", "gauge", "Messages that damage has touched.", float(seen.lost))


def _drill(record: DrillRecord | None) -> Iterator[Metric]:
    if record is None:
        return
    yield Metric("drill_timestamp_seconds", "gauge", "When the last restore drill ended.", record.last)
    if record.success is not None:
        text = "When the last restore drill that found everything right ended."
        yield Metric("drill_success_timestamp_seconds", "gauge", text, record.success)
    yield Metric("drill_failing", "gauge", "1 if the last restore drill was a bad one.", float(record.failing))
    if record.drilled is not None:
        done = record.drilled
        text = "How long the last restore drill restored and compared."
        yield Metric("drill_duration_seconds", "gauge", text, done.restoring + done.comparing)
        yield Metric("drill_messages", "gauge", "Messages that it restored.", float(done.messages))
        yield Metric("drill_differences", "gauge", "Differences that it found.", float(done.wrong))
