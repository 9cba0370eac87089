-- Prompts of the account that are not over, how many were opened since its last login and since when, and when its owner
-- reported a login that was not theirs: {"p": [[prompt, until], …], "n": …, "s": …, "x": …}; empty for most.
ALTER TABLE account ADD COLUMN push TEXT NOT NULL DEFAULT '';
ALTER TABLE account_change ADD COLUMN push TEXT NOT NULL DEFAULT '';

-- Prompts, under the number of their attempt, so that new ones are appended; thrown away when they are over. The row of an
-- account names its own, so that there is no index that each login would write at random.
--   digest: of what was typed, under the salt; number: the digest of the number to be typed on the device
--   state: 0 open, 1 approved, 2 denied, 3 used, 4 withdrawn
CREATE TABLE prompt (
    id      INTEGER PRIMARY KEY,
    account INTEGER NOT NULL,
    salt    BLOB    NOT NULL,
    digest  BLOB    NOT NULL,
    number  BLOB,
    tries   INTEGER NOT NULL,
    state   INTEGER NOT NULL DEFAULT 0,
    expires INTEGER NOT NULL,
    decided INTEGER,
    device  INTEGER,
    body    TEXT    NOT NULL
) STRICT;

-- What a device has beside its factor, whose last step is the counter of its signatures. The bell is sealed.
CREATE TABLE device (
    factor  INTEGER PRIMARY KEY REFERENCES factor (id) ON DELETE CASCADE,
    key     BLOB    NOT NULL,
    bell    BLOB    NOT NULL,
    language TEXT   NOT NULL,
    failed  INTEGER,
    failure TEXT    NOT NULL DEFAULT ''
) STRICT;

-- One open pairing an account, under the digest of its code.
CREATE TABLE pairing (
    account INTEGER PRIMARY KEY REFERENCES account (id) ON DELETE CASCADE,
    code    BLOB    NOT NULL UNIQUE,
    name    TEXT    NOT NULL,
    expires INTEGER NOT NULL,
    device  INTEGER
) STRICT;

-- Who is signed in at the portal, under the digest of the cookie.
CREATE TABLE session (
    token   BLOB    PRIMARY KEY,
    account INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    name    TEXT    NOT NULL,
    proven  INTEGER NOT NULL,
    expires INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX session_account ON session (account);
