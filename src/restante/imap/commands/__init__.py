"""One module per family of commands; `table.TABLE` joins each command with its handler.

A handler takes the session and a command, writes untagged responses and gives the tagged `Reply`. It raises a
`Refusal` for NO (mapped in one place) and `BadCommand` for BAD. Handlers know the store's interface and the
session, never sockets or SQL.
"""
