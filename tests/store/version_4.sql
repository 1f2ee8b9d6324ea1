
PRAGMA page_size=4096;

BEGIN TRANSACTION;

DROP TABLE IF EXISTS account;
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
INSERT INTO account VALUES(1,'a1b2c3','iofv3haxl3sa3m2l44fvi5xmx5m',7,3,1800000001,0,3634,'2810993.1795798260249955332',1800000000);

DROP TABLE IF EXISTS acl;
CREATE TABLE acl (
    mailbox INTEGER NOT NULL,
    identifier TEXT NOT NULL,           -- store.rights: an account's id or a word for all, "-" before negative ones
    rights TEXT NOT NULL,               -- letters
    PRIMARY KEY (mailbox, identifier)
) STRICT, WITHOUT ROWID;
CREATE INDEX acl_identifier ON acl (identifier);

DROP TABLE IF EXISTS annotation;
CREATE TABLE annotation (
    mailbox INTEGER NOT NULL,           -- 0: the account
    user TEXT NOT NULL,                 -- empty: shared
    entry TEXT NOT NULL,
    value BLOB NOT NULL,
    modseq INTEGER NOT NULL,
    PRIMARY KEY (mailbox, user, entry)
) STRICT, WITHOUT ROWID;

DROP TABLE IF EXISTS answer;
CREATE TABLE answer (
    email INTEGER PRIMARY KEY REFERENCES email (key),
    envelope BLOB NOT NULL,
    bodystructure BLOB NOT NULL,
    headers BLOB NOT NULL,
    body BLOB NOT NULL,
    preview TEXT NOT NULL,
    parts BLOB NOT NULL
) STRICT;
INSERT INTO answer VALUES(1,X'28656E76656C6F706529',X'28626F647973747275637475726529',X'5375626A6563743A20780D0A',X'28626F647929','Gruß',X'99000A11A474657874A5706C61696EA437626974A0009199010203A474657874A5706C61696EA437626974A00090');
INSERT INTO answer VALUES(2,X'28656E76656C6F706529',X'28626F647973747275637475726529',X'5375626A6563743A20780D0A',X'28626F647929','Gruß',X'99000A11A474657874A5706C61696EA437626974A0009199010203A474657874A5706C61696EA437626974A00090');
INSERT INTO answer VALUES(3,X'28656E76656C6F706529',X'28626F647973747275637475726529',X'5375626A6563743A20780D0A',X'28626F647929','Gruß',X'99000A11A474657874A5706C61696EA437626974A0009199010203A474657874A5706C61696EA437626974A00090');
INSERT INTO answer VALUES(4,X'28656E76656C6F706529',X'28626F647973747275637475726529',X'5375626A6563743A20780D0A',X'28626F647929','Gruß',X'99000ACD04B0A474657874A5706C61696EA437626974A0009199010203A474657874A5706C61696EA437626974A00090');

DROP TABLE IF EXISTS body_text;
CREATE TABLE body_text (                -- filled behind delivery, in the order of keys
    email INTEGER PRIMARY KEY REFERENCES email (key),
    body BLOB NOT NULL                  -- codec octet, then UTF-8, folded
) STRICT;

DROP TABLE IF EXISTS chunk;
CREATE TABLE chunk (
    key INTEGER PRIMARY KEY,            -- content << 20 | number from 0: one tree, filled at its end
    codec INTEGER NOT NULL,             -- 0 as it is, 1 zstandard
    data BLOB NOT NULL                  -- every chunk but the last has CHUNK octets before coding
) STRICT;
INSERT INTO chunk VALUES(1048576,0,X'5375626A6563743A20300D0A0D0A300D0A');
INSERT INTO chunk VALUES(2097152,0,X'5375626A6563743A20310D0A0D0A310D0A');
INSERT INTO chunk VALUES(3145728,0,X'5375626A6563743A20320D0A0D0A320D0A');
INSERT INTO chunk VALUES(4194304,1,X'28B52FFD60B0036D0000306C696E650D0A0100A7E42F45');

DROP TABLE IF EXISTS clock;
CREATE TABLE clock (
    modseq INTEGER PRIMARY KEY,
    at INTEGER NOT NULL                 -- a pair a minute in which something changed
) STRICT;
INSERT INTO clock VALUES(1,1800000000);

DROP TABLE IF EXISTS content;
CREATE TABLE content (
    key INTEGER PRIMARY KEY AUTOINCREMENT,  -- never reused: a session may still hold a removed one
    digest BLOB NOT NULL,               -- SHA-256 of the stored octets
    size INTEGER NOT NULL,
    chunks INTEGER NOT NULL,
    traits INTEGER NOT NULL,            -- mime.model.Trait bits
    pop3_size INTEGER NOT NULL,         -- octets RETR sends without UTF8, before dot-stuffing
    pop3_size_utf8 INTEGER NOT NULL
) STRICT;
INSERT INTO content VALUES(1,X'8C1481A4951985EE9EE2F8555730D162D4E07E5B39DC84DC5A142B65B22494CF',17,1,0,17,17);
INSERT INTO content VALUES(2,X'CF3C438A426D29146AA551F37C340C979064C7B691359F63F060B85F08148309',17,1,0,17,17);
INSERT INTO content VALUES(3,X'6B7D85E881F6A9079D7219ED9A143FD210DD79605E68D86E4ED3EBA1FEC31E85',17,1,0,17,17);
INSERT INTO content VALUES(4,X'B20FFD6463E52C14112788BD182EA4A4AB09EE1992EBA088CE7FBFE6FF001938',1200,1,0,1200,1200);
CREATE INDEX content_digest ON content (digest);

DROP TABLE IF EXISTS email;
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
INSERT INTO email VALUES(1,'mmdqlkc2zirjtt7rvirqki4cxw4','ty4gjcxegt6ai7qw246ixigulni',1,17,1000000,NULL,NULL,2);
INSERT INTO email VALUES(2,'mmdqlkc6l36rqsuuwvu6yoz2rli','ty4gjcxbst5i24akdny5prqljkq',2,17,1000000,NULL,NULL,2);
INSERT INTO email VALUES(3,'mmdqlkc2q2ijip5t4ca4g24cfpi','ty4gjcxdjebdsman3gmxlupuuwq',3,17,1000000,NULL,NULL,2);
INSERT INTO email VALUES(4,'m5odzekahke2panff72b7coj3sy','tkemybtgmzywtsniqhtrmebhfxi',4,1200,1000000,NULL,NULL,3);
CREATE INDEX email_content ON email (content);
CREATE INDEX email_uidl ON email (uidl) WHERE uidl IS NOT NULL;

DROP TABLE IF EXISTS flagset;
CREATE TABLE flagset (
    number INTEGER PRIMARY KEY,
    system INTEGER NOT NULL,            -- store.model.System bits
    keywords TEXT NOT NULL,             -- sorted, joined by one space
    UNIQUE (system, keywords)
) STRICT;
INSERT INTO flagset VALUES(1,1,'$Work');
INSERT INTO flagset VALUES(2,0,'');

DROP TABLE IF EXISTS history;
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
INSERT INTO history VALUES(4,0,1800000000,'create',2,NULL,NULL);

DROP TABLE IF EXISTS hold;
CREATE TABLE hold (
    email INTEGER NOT NULL,
    reason TEXT NOT NULL,
    until INTEGER NOT NULL,
    PRIMARY KEY (email, reason)
) STRICT, WITHOUT ROWID;

DROP TABLE IF EXISTS keyword;
CREATE TABLE keyword (
    folded TEXT PRIMARY KEY,            -- lower case
    name TEXT NOT NULL                  -- as first used
) STRICT, WITHOUT ROWID;
INSERT INTO keyword VALUES('$work','$Work');

DROP TABLE IF EXISTS mailbox;
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
INSERT INTO mailbox VALUES(1,'busf3nnnnqom2tqbd4uaee7upsq','INBOX',NULL,1800000000,6,7,0,4,2,0,2434,0,1,1);
INSERT INTO mailbox VALUES(2,'bpnqzurs42cbdh5qfwnzj2vltzy','Sent','\Sent',1800000001,2,5,0,1,1,0,1200,0,4,4);
CREATE TRIGGER stamp_new AFTER UPDATE OF uidnext ON mailbox WHEN new.messages > old.messages BEGIN
    INSERT INTO stamp (mailbox, modseq, low, high)
    VALUES (new.key, new.highest_modseq, old.uidnext, new.uidnext - 1)
    ON CONFLICT DO UPDATE SET high = max(high, excluded.high);
END;

DROP TABLE IF EXISTS mailbox_tombstone;
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

DROP TABLE IF EXISTS placement;
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
INSERT INTO placement VALUES(1,1,1,1,2,17,1000000,1800000000);
INSERT INTO placement VALUES(1,3,3,1,2,17,1000000,1800000000);
INSERT INTO placement VALUES(1,4,4,2,3,1200,1000000,1800000000);
INSERT INTO placement VALUES(1,5,4,2,6,1200,1000000,1800000000);
INSERT INTO placement VALUES(2,1,4,2,5,1200,1000000,1800000000);
CREATE INDEX placement_email ON placement (email);

DROP TABLE IF EXISTS pop3;
CREATE TABLE pop3 (
    mailbox INTEGER NOT NULL,
    uid INTEGER NOT NULL,
    suffix INTEGER NOT NULL,            -- 0: the identity alone is the UIDL
    retrieved INTEGER,                  -- when POP3 first fetched it, seconds UTC
    PRIMARY KEY (mailbox, uid)
) STRICT, WITHOUT ROWID;
INSERT INTO pop3 VALUES(1,5,1,NULL);

DROP TABLE IF EXISTS pop3_hidden;
CREATE TABLE pop3_hidden (
    email INTEGER PRIMARY KEY           -- DELE with "keep": hidden from POP3 wherever it goes
) STRICT;

DROP TABLE IF EXISTS removed;
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
INSERT INTO removed VALUES(1,1,2,2,1,2,7,17,1000000,1800000000,1800000000,'',NULL,NULL,0);
CREATE INDEX removed_at ON removed (removed_at);
CREATE INDEX removed_email ON removed (email);
CREATE INDEX removed_modseq ON removed (mailbox, modseq);

DROP TABLE IF EXISTS search_text;
CREATE TABLE search_text (
    email INTEGER PRIMARY KEY REFERENCES email (key),
    sender TEXT NOT NULL,               -- decoded and folded, as all of this table
    recipient TEXT NOT NULL,
    cc TEXT NOT NULL,
    bcc TEXT NOT NULL,
    subject TEXT NOT NULL,
    header BLOB NOT NULL                -- codec octet, then UTF-8
) STRICT;
INSERT INTO search_text VALUES(1,'FROM','TO','CC','BCC','SUBJECT',X'005355424A4543543A2058');
INSERT INTO search_text VALUES(2,'FROM','TO','CC','BCC','SUBJECT',X'005355424A4543543A2058');
INSERT INTO search_text VALUES(3,'FROM','TO','CC','BCC','SUBJECT',X'005355424A4543543A2058');
INSERT INTO search_text VALUES(4,'FROM','TO','CC','BCC','SUBJECT',X'005355424A4543543A2058');

DROP TABLE IF EXISTS seen;
CREATE TABLE seen (                     -- \Seen of those who are not the owner: for each his own
    mailbox INTEGER NOT NULL,
    uid INTEGER NOT NULL,
    user TEXT NOT NULL,                 -- account id
    seen INTEGER NOT NULL,              -- 0: taken off again; the row stays for its number
    modseq INTEGER NOT NULL,
    PRIMARY KEY (mailbox, uid, user)
) STRICT, WITHOUT ROWID;
CREATE INDEX seen_reader ON seen (user, mailbox, seen, modseq);

DROP TABLE IF EXISTS sortkey;
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
INSERT INTO sortkey VALUES(1,1,NULL,'',0,'from','to','cc','From','To','','');
INSERT INTO sortkey VALUES(2,1,NULL,'',0,'from','to','cc','From','To','','');
INSERT INTO sortkey VALUES(3,1,NULL,'',0,'from','to','cc','From','To','','');
INSERT INTO sortkey VALUES(4,1,NULL,'hi',0,'from','to','cc','From','To','<1@x>','');

DROP TABLE IF EXISTS stamp;
CREATE TABLE stamp (                    -- where change numbers are looked up: see stamps.py
    mailbox INTEGER NOT NULL,
    modseq INTEGER NOT NULL,
    low INTEGER NOT NULL,               -- UIDs, both included
    high INTEGER NOT NULL,
    PRIMARY KEY (mailbox, modseq, low)
) STRICT, WITHOUT ROWID;
INSERT INTO stamp VALUES(1,2,1,3);
INSERT INTO stamp VALUES(1,3,4,4);
INSERT INTO stamp VALUES(1,6,5,5);
INSERT INTO stamp VALUES(2,5,1,1);
CREATE INDEX stamp_long ON stamp (mailbox, high) WHERE high - low >= 64;

DROP TABLE IF EXISTS subscription;
CREATE TABLE subscription (
    user TEXT NOT NULL,
    name TEXT NOT NULL,
    PRIMARY KEY (user, name)
) STRICT, WITHOUT ROWID;
INSERT INTO subscription VALUES('','INBOX');

DROP TABLE IF EXISTS thread_link;
CREATE TABLE thread_link (
    message_id INTEGER NOT NULL,        -- 63 bits of a hash of the id
    subject INTEGER NOT NULL,           -- 63 bits of a hash of the base subject
    thread TEXT NOT NULL,
    PRIMARY KEY (message_id, subject)
) STRICT, WITHOUT ROWID;
INSERT INTO thread_link VALUES(5378774765424557703,591633059294511627,'tkemybtgmzywtsniqhtrmebhfxi');

DROP TABLE IF EXISTS told;
CREATE TABLE told (                     -- \Recent of those who are not the owner: as mailbox.recent_uid, for each
    user TEXT NOT NULL,
    mailbox INTEGER NOT NULL,
    uid INTEGER NOT NULL,
    PRIMARY KEY (user, mailbox)
) STRICT, WITHOUT ROWID;

DROP TABLE IF EXISTS transfer_in;
CREATE TABLE transfer_in (
    token TEXT PRIMARY KEY,
    at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

DROP TABLE IF EXISTS transfer_out;
CREATE TABLE transfer_out (             -- messages on their way into another account: see transfer.py
    token TEXT PRIMARY KEY,
    target TEXT NOT NULL,               -- the other account's id
    mailbox INTEGER NOT NULL,
    uids BLOB NOT NULL                  -- MessagePack: [[low, high], ...]
) STRICT, WITHOUT ROWID;

DELETE FROM main.sqlite_sequence WHERE name='content';
INSERT INTO main.sqlite_sequence VALUES ('content', 4);
DELETE FROM main.sqlite_sequence WHERE name='email';
INSERT INTO main.sqlite_sequence VALUES ('email', 4);
DELETE FROM main.sqlite_sequence WHERE name='mailbox';
INSERT INTO main.sqlite_sequence VALUES ('mailbox', 2);
DELETE FROM main.sqlite_sequence WHERE name='removed';
INSERT INTO main.sqlite_sequence VALUES ('removed', 1);

pragma user_version=4;
pragma application_id=1381192753;

COMMIT TRANSACTION;
PRAGMA application_id = 1381192753;
PRAGMA user_version = 4;
