"""Moving house: an account's mail copied from one side to another, once, and proven to be all there.

- `names`: which mailboxes go, and what they are called there; pure. `uidls`: whose UIDL a message had; pure.
- `ledger`: what has been copied, one file a migration; the only SQL. `course`: which mailbox leads where.
- `mailbox`: one mailbox. `run`: all of them. `proof`: the list's format. `prove`: makes it of what both sides hold.
  `verify`: looks again later.

The source is only ever read. What an earlier run copied is known by the ledger; without one, by what the target holds.
"""
