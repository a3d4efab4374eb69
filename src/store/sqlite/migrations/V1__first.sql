-- The first schema. A file here is never changed once it has been released; the next number adds
-- to it.
--
-- Tables are STRICT, so that a value of the wrong type is an error when it is written and not
-- when it is read. There are no foreign keys: rows are only ever written by the one writer,
-- whose transactions look up what they refer to anyway.

-- What belongs to the database as a whole: epoch, secrets.
CREATE TABLE meta (
    name TEXT NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE app (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE
) STRICT;

-- kind: 0 guest.
CREATE TABLE person (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    app INTEGER NOT NULL,
    public_id BLOB NOT NULL,
    kind INTEGER NOT NULL,
    name TEXT NOT NULL,
    made_at INTEGER NOT NULL,
    UNIQUE (app, public_id)
) STRICT;

-- kind: 0 lobby. head: position of the last entry. n: messages in all. floor: position of the
-- oldest entry that is kept.
CREATE TABLE conversation (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    app INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    head INTEGER NOT NULL DEFAULT 0,
    n INTEGER NOT NULL DEFAULT 0,
    floor INTEGER NOT NULL DEFAULT 1
) STRICT;

CREATE UNIQUE INDEX conversation_lobby ON conversation (app) WHERE kind = 0;

-- The logs. A row goes to the end of its tree whatever its conversation, so that a commit of
-- many conversations writes few pages. at: milliseconds since 1970. target: the entry that this
-- one changes. changed_seq: the last entry that changed this one. kind: 0 message. sum: CRC-32
-- over conv, seq, n, tag, kind, sender, at and body, because SQLite trusts the disk: without it a
-- flipped bit in a text would be served as what somebody said.
CREATE TABLE entry (
    id INTEGER PRIMARY KEY,
    conv INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    n INTEGER NOT NULL,
    tag INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    sender INTEGER NOT NULL,
    at INTEGER NOT NULL,
    target INTEGER,
    changed_seq INTEGER,
    sum INTEGER NOT NULL,
    body TEXT NOT NULL,
    UNIQUE (conv, seq)
) STRICT;

-- What was answered under which key. Rows are in the order in which they were made, which is the
-- order in which they are forgotten. digest: keyed hash of the command. conv, seq, tag, at: the
-- answer.
CREATE TABLE once (
    id INTEGER PRIMARY KEY,
    person INTEGER NOT NULL,
    key BLOB NOT NULL,
    digest BLOB NOT NULL,
    conv INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    tag INTEGER NOT NULL,
    at INTEGER NOT NULL,
    UNIQUE (person, key)
) STRICT;
