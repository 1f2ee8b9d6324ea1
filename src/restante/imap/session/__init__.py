"""The state of one IMAP connection.

- `session.ImapSession`: reads commands, runs them in order, writes responses with back-pressure.
- `view.View`: what this session has been told of its selected mailbox, and what it may be told now.
- `updates.Updates`: tells it, by the rules of the dialect.
- `state`: the small machines and values that sessions and commands share.
"""
