"""The side of a copy that is an IMAP server: any, from a bare RFC 3501 one to what offers all there is.

- `side.RemoteSide`: the side. `address`: where it is, how to get in, bounds. `errors`: what goes wrong.
- `dial`, `login`, `connection`, `deflate`, `command`: a connection, from TCP to commands. `pool`: some.
- `offers`, `quirks`: what a server can do, and what it does otherwise. `names`: mailbox names, both ways.
- `look` (all mailboxes), `changes`, `fetch` (with `spool`), `append`, `modify`, `mailboxes`, `watch`: what a side does.

Imports of parts that a run with nothing to do does not need come late, in `side`.
"""

from .address import RemoteAddress, Secret, Settings
from .side import RemoteSide

__all__ = ["RemoteAddress", "RemoteSide", "Secret", "Settings"]
