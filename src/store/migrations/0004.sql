-- Stations at which a second factor was proven, and how often they were all forgotten together:
-- {"s": [[client, station, since, until, when the password had been changed], …], "e": …}; empty for most.
ALTER TABLE account ADD COLUMN remembered TEXT NOT NULL DEFAULT '';
ALTER TABLE account_change ADD COLUMN remembered TEXT NOT NULL DEFAULT '';
