"""Runs of a copy: two sides, a state, and what changed -> both the same.

    report = await run(settings, one, two, State.open(path), clock)

- `run`: a run, in passes. `mailboxes`: the list. `which`: where something changed. `look`: what did.
- `renumber`: UIDs that began anew.
- `recognise`: which messages are the same. `merge`: what is to be done. `describe`: says it. `messages`: does it.
- `carry`: adds messages exactly once.
- `placeholder`: messages too large for the copy. `trash`: removed ones that are kept for a time.

Callers need `run`, `fetch_placeholder`, `State` (its `held`, `accept`, `refuse`, `aside`, `retry_aside`) and the values
in `sync.settings`.
"""

from __future__ import annotations

from .run import run

__all__ = ["run"]
