"""The local copy: an IMAP account, a Maildir or a store kept the same as another, online or not.

- `model`: values that all parts share. `side`: what can be kept in step (one interface for server and copy alike).
- `plan`: base, ours, theirs -> actions; pure. `state`: the base and the journal, one file a copy. `engine`: runs it.
- `remote`: the side that is an IMAP server. `maildir`, `local`: those that are a Maildir tree and a store.
- `pop3`: fetching by POP3, never twice. `outbox`: mail that is to be sent.
- `dedupe`: finds messages that are on a side more than once; moves all but one to the trash, and back.
- `migrate`: an account's mail copied to another side once, and proven to be there.
- `assemble`: a copy's table -> its parts. `unchanged`: a run that finds nothing to do, without all of this.
"""
