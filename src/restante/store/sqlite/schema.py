"""Tables of an account's file, and how older files become it.

One SQLite file an account. Three widths on purpose: `placement` is narrow and hot (FLAGS, SELECT, delta),
`answer` holds what FETCH says, `chunk` the contents; a wide table made FLAGS 2.7 times slower.

Numbers: `uid`, `modseq` and keys are plain integers; instants whole seconds UTC. `application_id` marks the file
as ours, `user_version` is the schema's version: migrations go forward only and are tested from every released
version; a newer file is refused.
"""

from __future__ import annotations

APPLICATION_ID = 0x52535431  # "RST1"
VERSION = 4
PAGE_SIZE = 4096  # a delivery touches some twenty trees: 8192 wrote 200 kB a message of 16 kB, this 110

PRAGMAS_BEFORE_TABLES = f"""
PRAGMA page_size = {PAGE_SIZE};
PRAGMA auto_vacuum = INCREMENTAL;
PRAGMA journal_mode = WAL;
"""

TABLES = """
CREATE TABLE account (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    id TEXT NOT NULL,
    incarnation TEXT NOT NULL,          -- drawn anew when an older state is put in service
    modseq INTEGER NOT NULL,            -- the change counter: last number given out
    email_delivery INTEGER NOT NULL,    -- last number that brought new mail (JMAP EmailDelivery)
    uidvalidity INTEGER NOT NULL,       -- last UIDVALIDITY given out
    log_floor INTEGER NOT NULL,         -- removals at or below it may have been forgotten
    used INTEGER NOT NULL,              -- octets of all placements (quota)
    file TEXT NOT NULL,                 -- which file this is: another one means that a copy was put in service
    created INTEGER NOT NULL
) STRICT;

CREATE TABLE mailbox (
    key INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,            -- MAILBOXID
    name TEXT NOT NULL UNIQUE,          -- NFC; INBOX in capitals
    role TEXT UNIQUE,
    uidvalidity INTEGER NOT NULL,
    uidnext INTEGER NOT NULL,
    highest_modseq INTEGER NOT NULL,
    recent_uid INTEGER NOT NULL DEFAULT 0,
    messages INTEGER NOT NULL DEFAULT 0,
    unseen INTEGER NOT NULL DEFAULT 0,
    deleted INTEGER NOT NULL DEFAULT 0,
    size INTEGER NOT NULL DEFAULT 0,
    deleted_size INTEGER NOT NULL DEFAULT 0,
    created_modseq INTEGER NOT NULL,
    changed_modseq INTEGER NOT NULL     -- last number that changed the mailbox itself (name, role): JMAP
) STRICT;

CREATE TABLE mailbox_tombstone (
    key INTEGER PRIMARY KEY,
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    role TEXT,
    uidvalidity INTEGER NOT NULL,
    uidnext INTEGER NOT NULL,
    modseq INTEGER NOT NULL,
    removed_at INTEGER NOT NULL
) STRICT;
CREATE INDEX mailbox_tombstone_modseq ON mailbox_tombstone (modseq);

CREATE TABLE flagset (
    number INTEGER PRIMARY KEY,
    system INTEGER NOT NULL,            -- store.model.System bits
    keywords TEXT NOT NULL,             -- sorted, joined by one space
    UNIQUE (system, keywords)
) STRICT;

CREATE TABLE keyword (
    folded TEXT PRIMARY KEY,            -- lower case
    name TEXT NOT NULL                  -- as first used
) STRICT, WITHOUT ROWID;

CREATE TABLE content (
    key INTEGER PRIMARY KEY AUTOINCREMENT,  -- never reused: a session may still hold a removed one
    digest BLOB NOT NULL,               -- SHA-256 of the stored octets
    size INTEGER NOT NULL,
    chunks INTEGER NOT NULL,
    traits INTEGER NOT NULL,            -- mime.model.Trait bits
    pop3_size INTEGER NOT NULL,         -- octets RETR sends without UTF8, before dot-stuffing
    pop3_size_utf8 INTEGER NOT NULL
) STRICT;
CREATE INDEX content_digest ON content (digest);

CREATE TABLE chunk (
    key INTEGER PRIMARY KEY,            -- content << 20 | number from 0: one tree, filled at its end
    codec INTEGER NOT NULL,             -- 0 as it is, 1 zstandard
    data BLOB NOT NULL                  -- every chunk but the last has CHUNK octets before coding
) STRICT;

CREATE TABLE email (
    key INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,            -- EMAILID
    thread TEXT NOT NULL,               -- THREADID
    content INTEGER NOT NULL REFERENCES content (key),
    size INTEGER NOT NULL,
    received INTEGER NOT NULL,          -- INTERNALDATE
    arrival BLOB,                       -- SHA-256 before trace headers
    uidl TEXT,                          -- a UIDL that an old server gave
    modseq INTEGER NOT NULL             -- created
) STRICT;
CREATE INDEX email_content ON email (content);
CREATE INDEX email_uidl ON email (uidl) WHERE uidl IS NOT NULL;

CREATE TABLE answer (
    email INTEGER PRIMARY KEY REFERENCES email (key),
    envelope BLOB NOT NULL,
    bodystructure BLOB NOT NULL,
    headers BLOB NOT NULL,
    body BLOB NOT NULL,
    preview TEXT NOT NULL,
    parts BLOB NOT NULL
) STRICT;

CREATE TABLE sortkey (
    email INTEGER PRIMARY KEY REFERENCES email (key),
    sent INTEGER,                       -- Date field, NULL where unreadable
    sent_day INTEGER,                   -- its day as written (SENTBEFORE ...), days since 1970
    subject TEXT NOT NULL,
    is_reply INTEGER NOT NULL,
    sender TEXT NOT NULL,
    recipient TEXT NOT NULL,
    cc TEXT NOT NULL,
    display_from TEXT NOT NULL,
    display_to TEXT NOT NULL,
    message_id TEXT NOT NULL,
    refs TEXT NOT NULL                  -- joined by one space
) STRICT;

CREATE TABLE thread_link (
    message_id INTEGER NOT NULL,        -- 63 bits of a hash of the id
    subject INTEGER NOT NULL,           -- 63 bits of a hash of the base subject
    thread TEXT NOT NULL,
    PRIMARY KEY (message_id, subject)
) STRICT, WITHOUT ROWID;

CREATE TABLE search_text (
    email INTEGER PRIMARY KEY REFERENCES email (key),
    sender TEXT NOT NULL,               -- decoded and folded, as all of this table
    recipient TEXT NOT NULL,
    cc TEXT NOT NULL,
    bcc TEXT NOT NULL,
    subject TEXT NOT NULL,
    header BLOB NOT NULL                -- codec octet, then UTF-8
) STRICT;

CREATE TABLE body_text (                -- filled behind delivery, in the order of keys
    email INTEGER PRIMARY KEY REFERENCES email (key),
    body BLOB NOT NULL                  -- codec octet, then UTF-8, folded
) STRICT;

CREATE TABLE placement (
    mailbox INTEGER NOT NULL,
    uid INTEGER NOT NULL,
    email INTEGER NOT NULL,
    flagset INTEGER NOT NULL,
    modseq INTEGER NOT NULL,
    size INTEGER NOT NULL,              -- as in email: hot paths join nothing
    received INTEGER NOT NULL,
    saved INTEGER NOT NULL,
    PRIMARY KEY (mailbox, uid)
) STRICT, WITHOUT ROWID;
CREATE INDEX placement_email ON placement (email);

CREATE TABLE stamp (                    -- where change numbers are looked up: see stamps.py
    mailbox INTEGER NOT NULL,
    modseq INTEGER NOT NULL,
    low INTEGER NOT NULL,               -- UIDs, both included
    high INTEGER NOT NULL,
    PRIMARY KEY (mailbox, modseq, low)
) STRICT, WITHOUT ROWID;
CREATE INDEX stamp_long ON stamp (mailbox, high) WHERE high - low >= 64;
CREATE TRIGGER stamp_new AFTER UPDATE OF uidnext ON mailbox WHEN new.messages > old.messages BEGIN
    INSERT INTO stamp (mailbox, modseq, low, high)
    VALUES (new.key, new.highest_modseq, old.uidnext, new.uidnext - 1)
    ON CONFLICT DO UPDATE SET high = max(high, excluded.high);
END;

CREATE TABLE removed (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    mailbox INTEGER NOT NULL,
    uid INTEGER NOT NULL,
    email INTEGER NOT NULL,             -- the email may be gone once its contents were reclaimed
    flagset INTEGER NOT NULL,
    placed_modseq INTEGER NOT NULL,     -- the placement's own number at removal
    modseq INTEGER NOT NULL,            -- the removal's
    size INTEGER NOT NULL,
    received INTEGER NOT NULL,
    saved INTEGER NOT NULL,
    removed_at INTEGER NOT NULL,
    session TEXT NOT NULL,              -- who removed it: protocol and connection
    moved_to INTEGER,                   -- mailbox and UID, where it was a move
    moved_uid INTEGER,
    undeleted INTEGER NOT NULL DEFAULT 0,
    UNIQUE (mailbox, uid)
) STRICT;
CREATE INDEX removed_modseq ON removed (mailbox, modseq);
CREATE INDEX removed_email ON removed (email);
CREATE INDEX removed_at ON removed (removed_at);

CREATE TABLE pop3 (
    mailbox INTEGER NOT NULL,
    uid INTEGER NOT NULL,
    suffix INTEGER NOT NULL,            -- 0: the identity alone is the UIDL
    retrieved INTEGER,                  -- when POP3 first fetched it, seconds UTC
    PRIMARY KEY (mailbox, uid)
) STRICT, WITHOUT ROWID;

CREATE TABLE pop3_hidden (
    email INTEGER PRIMARY KEY           -- DELE with "keep": hidden from POP3 wherever it goes
) STRICT;

CREATE TABLE history (
    modseq INTEGER NOT NULL,
    part INTEGER NOT NULL,              -- several rows of one command
    at INTEGER NOT NULL,
    kind TEXT NOT NULL,                 -- flags, rename, role, subscribe, create, delete, acl
    mailbox INTEGER,
    uids BLOB,                          -- MessagePack: [[low, high], ...]
    former TEXT,                        -- former flag set number, name, role or subscription
    PRIMARY KEY (modseq, part)
) STRICT, WITHOUT ROWID;

CREATE TABLE clock (
    modseq INTEGER PRIMARY KEY,
    at INTEGER NOT NULL                 -- a pair a minute in which something changed
) STRICT;

CREATE TABLE subscription (
    user TEXT NOT NULL,
    name TEXT NOT NULL,
    PRIMARY KEY (user, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE acl (
    mailbox INTEGER NOT NULL,
    identifier TEXT NOT NULL,           -- store.rights: an account's id or a word for all, "-" before negative ones
    rights TEXT NOT NULL,               -- letters
    PRIMARY KEY (mailbox, identifier)
) STRICT, WITHOUT ROWID;
CREATE INDEX acl_identifier ON acl (identifier);

CREATE TABLE annotation (
    mailbox INTEGER NOT NULL,           -- 0: the account
    user TEXT NOT NULL,                 -- empty: shared
    entry TEXT NOT NULL,
    value BLOB NOT NULL,
    modseq INTEGER NOT NULL,
    PRIMARY KEY (mailbox, user, entry)
) STRICT, WITHOUT ROWID;

CREATE TABLE seen (                     -- \\Seen of those who are not the owner: for each his own
    mailbox INTEGER NOT NULL,
    uid INTEGER NOT NULL,
    user TEXT NOT NULL,                 -- account id
    seen INTEGER NOT NULL,              -- 0: taken off again; the row stays for its number
    modseq INTEGER NOT NULL,
    PRIMARY KEY (mailbox, uid, user)
) STRICT, WITHOUT ROWID;
CREATE INDEX seen_reader ON seen (user, mailbox, seen, modseq);

CREATE TABLE told (                     -- \\Recent of those who are not the owner: as mailbox.recent_uid, for each
    user TEXT NOT NULL,
    mailbox INTEGER NOT NULL,
    uid INTEGER NOT NULL,
    PRIMARY KEY (user, mailbox)
) STRICT, WITHOUT ROWID;

CREATE TABLE transfer_out (             -- messages on their way into another account: see transfer.py
    token TEXT PRIMARY KEY,
    target TEXT NOT NULL,               -- the other account's id
    mailbox INTEGER NOT NULL,
    uids BLOB NOT NULL                  -- MessagePack: [[low, high], ...]
) STRICT, WITHOUT ROWID;

CREATE TABLE transfer_in (
    token TEXT PRIMARY KEY,
    at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE hold (
    email INTEGER NOT NULL,
    reason TEXT NOT NULL,
    until INTEGER NOT NULL,
    PRIMARY KEY (email, reason)
) STRICT, WITHOUT ROWID;
"""

BODIES_APART = """
CREATE TABLE body_text (
    email INTEGER PRIMARY KEY REFERENCES email (key),
    body BLOB NOT NULL
) STRICT;
INSERT INTO body_text (email, body) SELECT email, body FROM search_text ORDER BY email;
ALTER TABLE search_text DROP COLUMN body;
"""
"""Version 2: the text of bodies leaves search_text."""

SHARING = """
DROP TABLE seen;
CREATE TABLE seen (
    mailbox INTEGER NOT NULL,
    uid INTEGER NOT NULL,
    user TEXT NOT NULL,
    seen INTEGER NOT NULL,
    modseq INTEGER NOT NULL,
    PRIMARY KEY (mailbox, uid, user)
) STRICT, WITHOUT ROWID;
CREATE INDEX seen_reader ON seen (user, mailbox, seen, modseq);
CREATE INDEX acl_identifier ON acl (identifier);
CREATE TABLE transfer_out (
    token TEXT PRIMARY KEY,
    target TEXT NOT NULL,
    mailbox INTEGER NOT NULL,
    uids BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE transfer_in (
    token TEXT PRIMARY KEY,
    at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
"""
"""Version 2: mailboxes shared with others. Nothing was ever written to version 1's `seen`."""

STAMPS = """
CREATE TABLE stamp (
    mailbox INTEGER NOT NULL,
    modseq INTEGER NOT NULL,
    low INTEGER NOT NULL,
    high INTEGER NOT NULL,
    PRIMARY KEY (mailbox, modseq, low)
) STRICT, WITHOUT ROWID;
INSERT INTO stamp (mailbox, modseq, low, high)
SELECT mailbox, modseq, min(uid), max(uid) FROM (
    SELECT mailbox, modseq, uid, uid - row_number() OVER (PARTITION BY mailbox, modseq ORDER BY uid) AS run
    FROM placement)
GROUP BY mailbox, modseq, run;
CREATE INDEX stamp_long ON stamp (mailbox, high) WHERE high - low >= 64;
CREATE TRIGGER stamp_new AFTER UPDATE OF uidnext ON mailbox WHEN new.messages > old.messages BEGIN
    INSERT INTO stamp (mailbox, modseq, low, high)
    VALUES (new.key, new.highest_modseq, old.uidnext, new.uidnext - 1)
    ON CONFLICT DO UPDATE SET high = max(high, excluded.high);
END;
DROP INDEX placement_modseq;
"""
"""Version 3: change numbers are looked up by stretches of UIDs, not by an index with an entry for each placement."""

TOLD = """
CREATE TABLE told (
    user TEXT NOT NULL,
    mailbox INTEGER NOT NULL,
    uid INTEGER NOT NULL,
    PRIMARY KEY (user, mailbox)
) STRICT, WITHOUT ROWID;
"""
"""Version 4: what is \\Recent for those who are not the owner."""
