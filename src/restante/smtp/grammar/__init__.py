"""SMTP and LMTP on the wire, sans-IO: octets -> commands and message data, replies -> octets.

- `path`: the address in MAIL's and RCPT's angle brackets. `commands`: one line -> one command.
- `reader`: octets as they arrive -> lines, bounded; hands what follows to `data`.
- `data`: the end of DATA, undoing of dot-stuffing, chunks of BDAT. `replies`: status lines.
- `answers`, `requests`: the same from the other side, for what hands mail to a server.

Nothing here knows which side of delivery it serves: submission and MX sessions use it as LMTP does.
"""
