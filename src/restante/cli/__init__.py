"""The `restante` program: one module a command. Parses, calls a room, prints, exits; decides nothing."""
