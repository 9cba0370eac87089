-- What was applied, so that a file changed by hand is noticed.
CREATE TABLE migration (
    version  INTEGER PRIMARY KEY,
    checksum BLOB    NOT NULL,
    applied  INTEGER NOT NULL
) STRICT;

-- The data key (for seeds) and the digest key (for codes and numbers), sealed under the master key.
CREATE TABLE key (
    name   TEXT PRIMARY KEY,
    sealed BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- One row for everybody about whom anything is kept, under a number made from the stable id. All that a login changes is in
-- it, for each page that is written costs more than the row. Times are milliseconds since 1970.
--   wrong_password: when the last came; sent_until: when the last sent code ends: whether to look for any
--   factors: [[number, last step used or -1, when used], …]; stations that logged in: [[station, when seen], …]
--   newest: the newest of its decisions
CREATE TABLE account (
    id             INTEGER PRIMARY KEY,
    stable         TEXT    NOT NULL,
    name           TEXT    NOT NULL,
    wrong          INTEGER NOT NULL DEFAULT 0,
    locks          INTEGER NOT NULL DEFAULT 0,
    locked_until   INTEGER,
    wrong_password INTEGER,
    sent_until     INTEGER,
    newest         INTEGER,
    factors        TEXT    NOT NULL DEFAULT '[]',
    stations       TEXT    NOT NULL DEFAULT '[]'
) STRICT;
CREATE INDEX account_name ON account (name);
CREATE INDEX account_locked ON account (locked_until) WHERE locked_until IS NOT NULL;

-- What was enrolled; a login changes nothing here. AUTOINCREMENT: the number is part of what a seed is sealed to, and is
-- never given twice.
CREATE TABLE factor (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    account   INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    kind      TEXT    NOT NULL,
    label     TEXT    NOT NULL,
    digits    INTEGER NOT NULL,
    algorithm TEXT    NOT NULL,
    seed      BLOB    NOT NULL,
    proven    INTEGER NOT NULL,
    enrolled  INTEGER NOT NULL
) STRICT;
CREATE INDEX factor_account ON factor (account);

-- Each code is judged against every factor, so their number has a bound.
CREATE TRIGGER factor_bound BEFORE INSERT ON factor
WHEN (SELECT count(*) FROM factor WHERE account = NEW.account) >= 16
BEGIN
    SELECT RAISE(ABORT, 'an account has at most 16 factors');
END;

CREATE TABLE recovery_code (
    factor INTEGER NOT NULL REFERENCES factor (id) ON DELETE CASCADE,
    digest BLOB    NOT NULL,
    used   INTEGER,
    PRIMARY KEY (factor, digest)
) STRICT, WITHOUT ROWID;

-- One open sent code an account. A used one stays until it expires, to be known as used.
CREATE TABLE sent_code (
    account    INTEGER PRIMARY KEY REFERENCES account (id) ON DELETE CASCADE,
    kind       TEXT    NOT NULL,
    digest     BLOB    NOT NULL,
    digits     INTEGER NOT NULL,
    tries_left INTEGER NOT NULL,
    expires    INTEGER NOT NULL,
    used       INTEGER
) STRICT;

-- Digests of the wrong codes of late: the same one typed again is the same guess.
CREATE TABLE wrong_code (
    account INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    digest  BLOB    NOT NULL,
    at      INTEGER NOT NULL,
    PRIMARY KEY (account, digest)
) STRICT, WITHOUT ROWID;

-- Messages of the last day; account and number are emptied when an operator forgets the counts.
CREATE TABLE message (
    id      INTEGER PRIMARY KEY,
    at      INTEGER NOT NULL,
    account INTEGER,
    number  BLOB
) STRICT;
CREATE INDEX message_at ON message (at);
CREATE INDEX message_account ON message (account, at);
CREATE INDEX message_number ON message (number, at);

-- Numbers seen, as keyed digests.
CREATE TABLE number (
    account    INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    digest     BLOB    NOT NULL,
    trusted_at INTEGER NOT NULL,
    last_seen  INTEGER NOT NULL,
    PRIMARY KEY (account, digest)
) STRICT, WITHOUT ROWID;

CREATE TABLE challenge (
    state   BLOB    PRIMARY KEY,
    account INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    client  TEXT    NOT NULL,
    name    TEXT    NOT NULL,
    body    TEXT    NOT NULL,
    opened  INTEGER NOT NULL,
    expires INTEGER NOT NULL
) STRICT;
CREATE INDEX challenge_account ON challenge (account, opened);
CREATE INDEX challenge_expires ON challenge (expires);

CREATE TABLE wrong_password (
    id      INTEGER PRIMARY KEY,
    account INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    station TEXT    NOT NULL,
    at      INTEGER NOT NULL
) STRICT;
CREATE INDEX wrong_password_account ON wrong_password (account, station);

-- The audit trail: decisions after a proven password, one row each. Those of an account are a chain: each names the one
-- before it, the account the newest. A row that was thrown away, or belongs to somebody else by now, ends it.
CREATE TABLE decision (
    id       INTEGER PRIMARY KEY,
    at       INTEGER NOT NULL,
    attempt  TEXT    NOT NULL,
    account  INTEGER,
    previous INTEGER,
    name     TEXT    NOT NULL,
    body     TEXT    NOT NULL
) STRICT;
CREATE INDEX decision_attempt ON decision (attempt);
CREATE INDEX decision_name ON decision (name) WHERE account IS NULL;

-- The audit trail: failures before it, one row for each account (0: nobody found), client, reason and minute.
CREATE TABLE failure (
    id       INTEGER PRIMARY KEY,
    at       INTEGER NOT NULL,
    account  INTEGER NOT NULL,
    client   TEXT    NOT NULL,
    reason   TEXT    NOT NULL,
    last     INTEGER NOT NULL,
    count    INTEGER NOT NULL,
    names    TEXT    NOT NULL,
    stations TEXT    NOT NULL,
    UNIQUE (account, at, client, reason)
) STRICT;

-- The audit trail: what operators did.
CREATE TABLE operator (
    id      INTEGER PRIMARY KEY,
    at      INTEGER NOT NULL,
    account INTEGER,
    uid     INTEGER NOT NULL,
    what    TEXT    NOT NULL
) STRICT;
CREATE INDEX operator_account ON operator (account) WHERE account IS NOT NULL;

CREATE TABLE accounting (
    id     INTEGER PRIMARY KEY,
    at     INTEGER NOT NULL,
    digest BLOB    NOT NULL UNIQUE,
    body   TEXT    NOT NULL
) STRICT;
