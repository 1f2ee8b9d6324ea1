"""Octets <-> commands and responses, without I/O.

- `commands`: the commands as values.
- `reader.CommandReader`: octets in, commands (or refusals, or "send a continuation") out, within limits.
- `response`: the octets of responses: strings, literals, flag lists, sequence sets, response codes.
- `names`: mailbox names on the wire (modified UTF-7, UTF-8).
"""
