"""Octets <-> commands and responses, without I/O.

- `commands`: the commands as values.
- `reader.CommandReader`: octets in, commands (or refusals, or "send a continuation") out, within limits.
- `parser`, `parse_*`: one command's text to its value, a module per family; `tokens` has their lexical rules.
- `response`: the octets of responses: strings, literals, flag lists. `response_access`: of rights and quotas.
- `answers.AnswerReader`: the client's half: a server's octets cut into answers. `answers_fetch`, `answers_mailbox`,
  `answers_search`: what stands in them, by subject; thousands of FETCH lines become columns.
- `sets`: sequence sets, written and resolved. `wildcards`: LIST's patterns.
- `names`: mailbox names on the wire (modified UTF-7, UTF-8). `dates`, `charsets`: what their names say.
- `urls`: IMAP URLs of messages (CATENATE). `criteria`: search keys that stand for themselves (FILTERS).
"""
