"""What the backup tells Prometheus: the text format to the letter, and a file that is whole or not there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from restante.backup.outcome import Checked, Drilled
from restante.config.model import BackupTable, Config
from restante.server.backup_metrics import Metric, exposed, metrics_of, write_metrics
from restante.server.backup_records import note_drill, note_verify
from restante.server.nightly_state import Nights, write_nights

LINE = re.compile(r"restante_backup_([a-z_]+) (-?\d+(?:\.\d+)?(?:e[+-]?\d+)?)\Z")


def read(text: str) -> dict[str, float]:
    """Samples of the text format (0.0.4): each behind its HELP and TYPE, each once."""
    found: dict[str, float] = {}
    lines = text.splitlines()
    assert not text or text.endswith("\n")
    for about, kind, sample in zip(lines[::3], lines[1::3], lines[2::3], strict=True):
        match = LINE.match(sample)
        assert match is not None, sample
        name = match[1]
        assert about.startswith(f"# HELP restante_backup_{name} ")
        assert kind == f"# TYPE restante_backup_{name} {'counter' if name.endswith('_total') else 'gauge'}"
        assert name not in found
        found[name] = float(match[2])
    return found


def config(folder: Path, location: str = "/b") -> Config:
    return Config(backup=BackupTable(location=location, metrics_file=str(folder / "restante.prom")))


def test_what_never_happened_has_no_sample(tmp_path: Path) -> None:
    assert read(metrics_of(config(tmp_path), tmp_path)) == {}
    write_nights(tmp_path, Nights(since=5.0, attended=1.0))
    found = read(metrics_of(config(tmp_path), tmp_path))
    assert found == {"since_timestamp_seconds": 5, "failing": 0, "nights_total": 0, "failures_total": 0,
                     "retries_total": 0}  # fmt: skip


def test_all_that_is_known_is_told(tmp_path: Path) -> None:
    write_nights(
        tmp_path,
        Nights(
            since=5.0, attended=1.0, success=1_800_000_000.25, failure=7.0, next=9.5, seconds=12.5, written=10**12,
            messages=3, nights=8, failures=2, retries=4,
        ),
    )  # fmt: skip
    note_verify(tmp_path, "/b", 20.0, Checked(100, 0.75, 15, 2, 1))
    note_drill(tmp_path, "/b", 30.0, Drilled("s", 1, 2, messages=9, restoring=1.5, comparing=0.5))
    note_drill(tmp_path, "/b", 40.0, Drilled("s", 1, 2, messages=8, restoring=1.0, comparing=0.5, wrong=3))
    assert read(metrics_of(config(tmp_path), tmp_path)) == {
        "since_timestamp_seconds": 5, "last_success_timestamp_seconds": 1_800_000_000.25, "last_duration_seconds": 12.5,
        "last_written_bytes": 10**12, "last_messages": 3, "last_failure_timestamp_seconds": 7, "failing": 0,
        "nights_total": 8, "failures_total": 2, "retries_total": 4, "next_timestamp_seconds": 9.5,
        "verify_timestamp_seconds": 20, "verified_ratio": 0.75, "verify_oldest_timestamp_seconds": 15,
        "damaged_files": 2, "lost_messages": 1, "drill_timestamp_seconds": 40, "drill_success_timestamp_seconds": 30,
        "drill_failing": 1, "drill_duration_seconds": 1.5, "drill_messages": 8, "drill_differences": 3,
    }  # fmt: skip
    other = read(metrics_of(config(tmp_path, "/another"), tmp_path))
    assert not [name for name in other if name.startswith(("drill", "verif"))], "those are of another backup"


def test_a_help_is_one_line() -> None:
    text = exposed(Metric("x", "gauge", "a \\ b\nc", 1e16))
    assert text == "# HELP restante_backup_x a \\\\ b c\n# TYPE restante_backup_x gauge\nrestante_backup_x 1e+16\n"


def test_the_file_is_replaced_whole_and_may_be_read_by_others(tmp_path: Path) -> None:
    write_nights(tmp_path, Nights(since=5.0, attended=1.0))
    target = tmp_path / "restante.prom"
    target.write_text("older")
    write_metrics(config(tmp_path), tmp_path)
    assert read(target.read_text())["since_timestamp_seconds"] == 5
    assert target.stat().st_mode & 0o777 == 0o644
    assert [path.name for path in tmp_path.iterdir() if path.name.endswith(".new")] == []
    write_metrics(Config(), tmp_path)
    with pytest.raises(OSError):
        write_metrics(config(tmp_path / "nowhere"), tmp_path)
