-- Sessions that a NAS accounts for, each joined to the login that began it.
--   key: digest of client, NAS and Acct-Session-Id; scope: digest of client and NAS alone
--   until: when a session of which nothing was heard counts as over; how: how it ended
CREATE TABLE accounted_session (
    id      INTEGER PRIMARY KEY,
    key     BLOB    NOT NULL,
    scope   BLOB    NOT NULL,
    account INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    attempt TEXT    NOT NULL,
    begun   INTEGER NOT NULL,
    until   INTEGER NOT NULL,
    ended   INTEGER,
    how     TEXT,
    body    TEXT    NOT NULL
) STRICT;
CREATE INDEX accounted_session_key ON accounted_session (key);
CREATE INDEX accounted_session_account ON accounted_session (account);
CREATE INDEX accounted_session_scope ON accounted_session (scope) WHERE ended IS NULL;
CREATE INDEX accounted_session_until ON accounted_session (until) WHERE ended IS NULL;
