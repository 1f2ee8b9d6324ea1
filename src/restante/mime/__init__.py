"""Bytes of one message -> structure, headers, text. Pure functions, no I/O.

Public entry points (each in the module named):

- `analyse.analyse(data, limits) -> Analysis`: everything kept beside a message, in one pass.
- `normalise.normalise_line_ends(data)`: the one change made on the way in, before `analyse`.
- `scan.scan(data, limits)`: the `Part` tree alone. `headers.FieldSelector`: HEADER.FIELDS, compiled.
- `sections`: octets of BODY[...] and BINARY[...] sections from a message and its `Part` tree.
- `decode`: RFC 2047/2231 and charset decoding. `fold.fold`: i;unicode-casemap.
- `surrogate.surrogate`: the RFC 6858 form for POP3 without UTF8.
"""
