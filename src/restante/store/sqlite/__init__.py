"""The embedded engine: one SQLite file an account, one for the directory.

```
engine ─┬─ account (Store) ─┬─ reads, on the loop ─── rows, changes, account_changes, mailboxes, content, maildrop,
        │                   │                         search (compile, candidates, bodies), sort, quota, annotation
        │                   └─ writer (group commit)  append, replace, flags, copies, mailboxes, recover, recent, acl
        ├─ shared (Store of who is not the owner) ─── acl, reader, transfer (moves between two files)
        ├─ indexes, index (search, a file of its own)
        └─ directory, deliveries (the journal)
account = octets + retention (what was removed) + sharing, on account_file (the ways to the file)
handles (open files)   hints (who must hear)   migrate (old files)   transaction (the one way to change placements)
kept (what a process remembers)   past, past_file (what an account was)   glance, aside (without an engine)
```

An account's SQL, and the directory's, lives here alone. Outside, `engine.SqliteEngine` is all that most need; who looks
without an engine imports `glance` or `aside`, and who shows what an account was `past` and `past_file`.
"""
