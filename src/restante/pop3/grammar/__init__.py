"""POP3 on the wire, sans-IO: octets -> commands, answers -> octets. Imports nothing but itself.

- `commands`: what a client can ask, and the parser of one line.
- `reader`: octets as they arrive -> lines and commands, bounded.
- `top`: where the answer to TOP ends.
- `responses`: status lines and lists.
- `stuffing`: dot-stuffing of whole messages and of chunks.

The other side, for fetching from servers:

- `answers`: octets as they arrive -> status lines, challenges, bodies; listings and capabilities.
- `requests`: a client's commands.
"""
