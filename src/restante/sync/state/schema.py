"""Tables of a copy's state, and how older files become it.

One SQLite file a copy. `pair` and `place`: mailboxes. `message`: one row a message, narrow, read in columns; it is the
base and the journal in one: a row is written with the side it comes from *before* the message is added to the other
side, and gets its UID there afterwards. A row that lacks a UID is thus either being added (look whether it is there
before adding it again) or was removed there (`GONE`). `content`: what a message is known by, read for few.

`odd`: bits named in `sync.base`. UIDs are those of the sides. Instants are seconds UTC. `user_version` is the schema's
version; migrations go forward only; a newer file is refused.
"""

from __future__ import annotations

APPLICATION_ID = 0x52535332  # "RSS2"
VERSION = 5

REMOVAL = """
CREATE TABLE removal (                  -- messages that were seen to be removed there lately, carried over or held
    pair INTEGER NOT NULL REFERENCES pair ON DELETE CASCADE,
    side INTEGER NOT NULL,
    at REAL NOT NULL,
    number INTEGER NOT NULL
) STRICT;
"""

ACCOUNT = """
CREATE TABLE account (                  -- whose account each side is, as it says itself
    side INTEGER PRIMARY KEY CHECK (side IN (1, 2)),
    sign TEXT NOT NULL
) STRICT;
"""

STANDING = "ALTER TABLE doomed ADD COLUMN flags INTEGER"

MOVING = """
CREATE TABLE moving (                   -- whereto we began to move them there
    message INTEGER NOT NULL REFERENCES message ON DELETE CASCADE,
    side INTEGER NOT NULL,
    target INTEGER NOT NULL REFERENCES pair ON DELETE CASCADE,
    PRIMARY KEY (message, side)
) STRICT, WITHOUT ROWID;
"""

TABLES = (
    """
CREATE TABLE pair (
    key INTEGER PRIMARY KEY AUTOINCREMENT
) STRICT;

CREATE TABLE place (                    -- one side of a pair, as when both were last the same
    pair INTEGER NOT NULL REFERENCES pair ON DELETE CASCADE,
    side INTEGER NOT NULL CHECK (side IN (1, 2)),
    name TEXT NOT NULL,
    id TEXT,
    validity TEXT,
    cursor TEXT,
    state TEXT,
    role TEXT,
    subscribed INTEGER NOT NULL DEFAULT 0,
    listing BLOB,                       -- digest of the last full listing, if nothing was done after it
    PRIMARY KEY (pair, side)
) STRICT, WITHOUT ROWID;

CREATE TABLE renaming (                 -- we are renaming it there, from `old` to `new`
    pair INTEGER NOT NULL REFERENCES pair ON DELETE CASCADE,
    side INTEGER NOT NULL,
    old TEXT NOT NULL,
    new TEXT NOT NULL,
    PRIMARY KEY (pair, side)
) STRICT, WITHOUT ROWID;

CREATE TABLE flagset (
    key INTEGER PRIMARY KEY,
    names TEXT NOT NULL UNIQUE          -- sorted, a space between
) STRICT;

CREATE TABLE keyword (                  -- keywords that a side was seen to keep, lower case
    side INTEGER NOT NULL,
    name TEXT NOT NULL,
    PRIMARY KEY (side, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE hold (                     -- removals that wait for a decision
    key INTEGER PRIMARY KEY AUTOINCREMENT,
    pair INTEGER NOT NULL REFERENCES pair ON DELETE CASCADE,
    side INTEGER NOT NULL,              -- where the messages were removed
    reason TEXT NOT NULL,
    since REAL NOT NULL,
    accepted INTEGER                    -- NULL until somebody decided
) STRICT;

CREATE TABLE message (
    key INTEGER PRIMARY KEY,
    pair INTEGER NOT NULL REFERENCES pair ON DELETE CASCADE,
    one INTEGER,
    two INTEGER,
    one_flags INTEGER NOT NULL,
    two_flags INTEGER NOT NULL,
    odd INTEGER NOT NULL DEFAULT 0,
    hold INTEGER REFERENCES hold ON DELETE SET NULL
) STRICT;
CREATE UNIQUE INDEX message_one ON message (pair, one);
CREATE UNIQUE INDEX message_two ON message (pair, two);
CREATE INDEX message_pending ON message (pair) WHERE one IS NULL OR two IS NULL OR odd & 12 != 0;
CREATE INDEX message_hold ON message (hold) WHERE hold IS NOT NULL;

CREATE TABLE content (
    message INTEGER PRIMARY KEY REFERENCES message ON DELETE CASCADE,
    size INTEGER,
    received INTEGER NOT NULL,
    mark BLOB NOT NULL,
    digest BLOB,
    one_email TEXT,
    two_email TEXT,
    near_size INTEGER,                  -- of a placeholder on side two
    near_digest BLOB
) STRICT;

CREATE TABLE doomed (                   -- still there beside the message: its placeholder, or where its move began
    message INTEGER NOT NULL REFERENCES message ON DELETE CASCADE,
    pair INTEGER NOT NULL REFERENCES pair ON DELETE CASCADE,
    side INTEGER NOT NULL,
    uid INTEGER NOT NULL,
    flags INTEGER,                      -- of a placeholder, as they were last carried
    PRIMARY KEY (pair, side, uid)
) STRICT, WITHOUT ROWID;

CREATE TABLE aside (                    -- refused by `side`
    message INTEGER PRIMARY KEY REFERENCES message ON DELETE CASCADE,
    side INTEGER NOT NULL,
    reason TEXT NOT NULL,
    size INTEGER NOT NULL,
    tries INTEGER NOT NULL,
    next_try REAL,                      -- NULL: not by itself
    largest INTEGER                     -- the copy's limit at the time: another one is a reason to try again
) STRICT;

CREATE TABLE trash (                    -- removed messages that are kept: a file's path, or a UID in the trash mailbox
    key INTEGER PRIMARY KEY,
    since REAL NOT NULL,
    path TEXT,
    uid INTEGER,
    validity TEXT
) STRICT;
CREATE INDEX trash_since ON trash (since);
"""
    + REMOVAL
    + ACCOUNT
    + MOVING
)
