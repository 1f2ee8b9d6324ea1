"""Cleaning out: finds messages that are there more than once, and moves all but one of each to the trash.

- `trace`: what of a message says how it travelled, not what it is. `table`: what is known of all messages, in columns.
- `decide`: table -> groups: which one stays, which move, which are only reported. Pure; the rules stand there.
- `survey`: reads a table from any `Side`, or from files that are only reported on.
- `journal`: what was done, durably. `apply`: does it. `undo`: puts all back.

Nothing is ever deleted: what moves lies in the trash, and the journal knows where it came from.
"""
