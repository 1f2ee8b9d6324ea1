"""The embedded engine: one SQLite file an account, one for the directory.

```
engine ── account (Store) ─┬─ reads, on the loop ──────── rows, changes, mailboxes, content, search, maildrop
                           └─ writer (group commit) ───── append, flags, copies, mailboxes, recover, recent
handles (open files)   hints (who must hear)   migrate (old files)   transaction (the one way to change placements)
```

SQL lives here alone. Nothing outside imports more than `engine.SqliteEngine`.
"""
