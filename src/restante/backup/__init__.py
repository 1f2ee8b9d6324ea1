"""Encrypted, deduplicated backups of accounts and of whole installations, in a format of their own.

docs/backup-format.md says what lies at a location, octet by octet. `repository` keeps objects there, `run` takes
snapshots, `restore` and `bring` give them back, `verify` reads everything again, `prune` forgets what is old.
"""
