"""What has been copied: a SQLite file a migration, the only place of its SQL.

- `schema`: the file and its version. `book`: messages of both sides, pair by pair. `sift`: which messages of the source
  the target holds already, found by what they are.
"""
