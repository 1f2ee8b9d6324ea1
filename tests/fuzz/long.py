"""Coverage-guided fuzzing with atheris: `make fuzz [TARGET=imap] [SECONDS=600]`.

usage: python -m tests.fuzz.long TARGET SECONDS

What crashes is written to tests/fuzz/corpus/TARGET/ by libFuzzer and from then on tried by `make test`.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["restante"]):
    from .targets import SEEDS, TARGETS


def main() -> None:
    name, seconds = sys.argv[1], int(sys.argv[2])
    findings = Path(__file__).parent / "corpus" / name
    findings.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        for number, seed in enumerate(SEEDS[name]):
            (Path(folder) / str(number)).write_bytes(seed)
        arguments = [f"-max_total_time={seconds}", "-max_len=4096", "-timeout=1", f"-artifact_prefix={findings}/"]
        atheris.Setup([sys.argv[0], *arguments, folder, str(findings)], TARGETS[name])
        atheris.Fuzz()


if __name__ == "__main__":
    main()
