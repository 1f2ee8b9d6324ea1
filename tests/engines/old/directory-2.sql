-- directory.db of version 2 with one of everything, as SQL: what migrations must be able to start from.
-- Never changed once released.
PRAGMA application_id = 1381192772;
PRAGMA user_version = 2;
BEGIN TRANSACTION;
CREATE TABLE account (
    id TEXT PRIMARY KEY NOT NULL,
    address TEXT NOT NULL,
    key TEXT NOT NULL UNIQUE,
    domain TEXT NOT NULL REFERENCES domain (name),
    enabled INTEGER NOT NULL CHECK (enabled IN (0, 1)),
    quota INTEGER CHECK (quota >= 0),
    pop3_delete TEXT CHECK (pop3_delete IN ('remove', 'trash', 'keep')),
    pop3_leave_days INTEGER,
    pop3_seen INTEGER CHECK (pop3_seen IN (0, 1)),
    scram INTEGER CHECK (scram IN (0, 1)),
    demo INTEGER NOT NULL CHECK (demo IN (0, 1)),
    created INTEGER NOT NULL,
    credential_version INTEGER NOT NULL,
    next_credential INTEGER NOT NULL DEFAULT 1,
    salt BLOB NOT NULL DEFAULT x'',
    iterations INTEGER NOT NULL DEFAULT 0
, quota_messages INTEGER CHECK (quota_messages >= 0), quota_mailboxes INTEGER CHECK (quota_mailboxes >= 0)) STRICT, WITHOUT ROWID;
INSERT INTO account VALUES('aaaa','Ann@example.org','ann@example.org','example.org',1,500,'trash',3,0,1,0,12,3,3,X'73616C7473616C7473616C7473616C74',4096,NULL,NULL);
CREATE INDEX account_domain ON account (domain);
CREATE INDEX account_leave ON account (pop3_leave_days) WHERE enabled = 1;
CREATE TABLE adopted (
    id TEXT PRIMARY KEY NOT NULL,
    account TEXT NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO adopted VALUES('babcdefghijklmnopqrstuvwxyz','aaaa');
CREATE INDEX adopted_account ON adopted (account);
CREATE TABLE alias (
    key TEXT PRIMARY KEY NOT NULL,
    address TEXT NOT NULL,
    domain TEXT NOT NULL REFERENCES domain (name),
    targets TEXT NOT NULL,
    created INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO alias VALUES('team@example.org','Team@example.org','example.org','["ann@example.org"]',16);
CREATE INDEX alias_domain ON alias (domain);
CREATE TABLE closure (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    account TEXT NOT NULL
) STRICT;
INSERT INTO closure VALUES(1,'aaaa');
CREATE TABLE credential (
    account TEXT NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('password', 'app')),
    label TEXT NOT NULL,
    hash TEXT NOT NULL,
    protocols TEXT NOT NULL,
    stored_key BLOB,
    server_key BLOB,
    created INTEGER NOT NULL,
    last_used INTEGER, expires INTEGER,
    PRIMARY KEY (account, number)
) STRICT, WITHOUT ROWID;
INSERT INTO credential VALUES('aaaa',1,'password','','$argon2id$v=19$m=64,t=1,p=1$AAAA$AAAA','',X'7373737373737373737373737373737373737373737373737373737373737373',X'6B6B6B6B6B6B6B6B6B6B6B6B6B6B6B6B6B6B6B6B6B6B6B6B6B6B6B6B6B6B6B6B',13,14,NULL);
INSERT INTO credential VALUES('aaaa',2,'app','phone','$sha256$00','imap pop3',NULL,NULL,15,NULL,99);
CREATE UNIQUE INDEX credential_password ON credential (account) WHERE kind = 'password';
CREATE INDEX credential_scram ON credential (account) WHERE stored_key NOT NULL;
CREATE TABLE delivery (
    recipient TEXT NOT NULL,
    digest BLOB NOT NULL CHECK (length(digest) = 32),
    token BLOB NOT NULL CHECK (length(token) = 16),
    done TEXT NOT NULL,
    begun INTEGER NOT NULL,
    PRIMARY KEY (recipient, digest)
) STRICT, WITHOUT ROWID;
INSERT INTO delivery VALUES('info@example.org',X'6464646464646464646464646464646464646464646464646464646464646464',X'000102030405060708090A0B0C0D0E0F','aaaa.0',18);
CREATE INDEX delivery_begun ON delivery (begun);
CREATE TABLE domain (
    name TEXT PRIMARY KEY NOT NULL,
    catch_all TEXT,
    scram INTEGER NOT NULL DEFAULT 0 CHECK (scram IN (0, 1)),
    created INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO domain VALUES('example.org','ann@example.org',1,11);
CREATE TABLE duplicate (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    account TEXT NOT NULL,
    digest BLOB NOT NULL,
    at INTEGER NOT NULL,
    email_id TEXT NOT NULL
) STRICT;
INSERT INTO duplicate VALUES(1,'aaaa',X'6464646464646464646464646464646464646464646464646464646464646464',17,'mxyz');
CREATE TABLE share (
    identifier TEXT NOT NULL,
    account TEXT NOT NULL,
    PRIMARY KEY (identifier, account)
) STRICT, WITHOUT ROWID;
INSERT INTO share VALUES('anyone','aaaa');
CREATE INDEX share_account ON share (account);
CREATE TABLE secret (
    name TEXT PRIMARY KEY NOT NULL,
    value BLOB NOT NULL CHECK (length(value) = 32)
) STRICT, WITHOUT ROWID;
INSERT INTO secret VALUES('scram-salt',X'000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F');
DELETE FROM main.sqlite_sequence WHERE name='duplicate';
INSERT INTO main.sqlite_sequence VALUES ('duplicate', 1);
INSERT INTO main.sqlite_sequence VALUES ('closure', 1);
COMMIT TRANSACTION;
