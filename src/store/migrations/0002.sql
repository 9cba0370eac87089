-- What logins changed of accounts and is not yet in their rows: newest, factors and stations as they are after it, which a row
-- takes over some time later, together with others. The last one of an account holds; the oldest are removed first.
CREATE TABLE account_change (
    seq      INTEGER PRIMARY KEY,
    account  INTEGER NOT NULL,
    newest   INTEGER,
    factors  TEXT    NOT NULL,
    stations TEXT    NOT NULL
) STRICT;
