"""Mail that is to be sent: kept durably at once, handed to a submission server when there is one, and never twice.

- `entry`: one message on its way, and the table of its states. `spool`: where they lie, as files.
- `compose`: octets of a person or program -> a message fit to be sent, and its envelope.
- `submission`: one connection to a server, by `smtp.grammar`. `login`: getting in.
- `sender`: one run over the spool. `taking`: messages dropped in the copy's Outbox. `filing`: to Sent, to INBOX.
- `returned`: the text of what comes back (RFC 3464). `wake`: a word to a watcher that something was spooled.
"""
