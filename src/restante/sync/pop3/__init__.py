"""Fetching by POP3, never twice: download, recognise, and only then delete.

- `settings`: what a fetch is told and what it reports. `fetch`: one run. `errors`: why one cannot go on.
- `wire`, `connection`, `login`: octets, commands and answers (by `pop3.grammar`), getting in.
- `identity`: what a message is known by, whoever delivers it. `state`: what is remembered between runs.
- `listing`, `decide`, `holdings`: what is on the server, what of it is here, what the target holds.
- `target`: what is asked of a target (any `Side` does); `mbox_target`: one that is an mbox file.

POP3 gives a message whole or not at all: there is no resuming within one, and so no spool for parts.
"""
