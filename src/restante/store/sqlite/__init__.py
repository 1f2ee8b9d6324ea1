"""The embedded engine: one SQLite file an account, one for the directory.

```
engine ─┬─ account (Store) ─┬─ reads, on the loop ─── rows, changes, account_changes, mailboxes, content, maildrop,
        │                   │                         search (compile, candidates, bodies), sort, quota, annotation
        │                   └─ writer (group commit)  append, replace, flags, copies, mailboxes, recover, recent, acl
        ├─ shared (Store of who is not the owner) ─── acl, reader, transfer (moves between two files)
        ├─ indexes, index (search, a file of its own)
        └─ directory, deliveries (the journal)
handles (open files)   hints (who must hear)   migrate (old files)   transaction (the one way to change placements)
```

SQL lives here alone. Nothing outside imports more than `engine.SqliteEngine`.
"""
