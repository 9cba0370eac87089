-- :find-account
SELECT stable, name, wrong, locks, locked_until, wrong_password, sent_until, newest, factors, stations, push, remembered
FROM account WHERE id = ?1

-- :add-account
INSERT INTO account (id, stable, name) VALUES (?1, ?2, ?3)

-- :save-account
UPDATE account SET newest = ?2, factors = ?3, stations = ?4, push = ?5, remembered = ?6 WHERE id = ?1

-- :name-account
UPDATE account SET name = ?2 WHERE id = ?1

-- :digits-of-open-code
SELECT digits FROM sent_code WHERE account = ?1 AND used IS NULL AND tries_left > 0 AND expires > ?2

-- :factor
SELECT kind, label,
    CASE kind WHEN 'recovery'
        THEN (SELECT count(*) FROM recovery_code WHERE factor = factor.id AND used IS NULL)
        ELSE digits END,
    proven, enrolled
FROM factor WHERE id = ?1 AND account = ?2

-- :wrong-passwords
SELECT station, at FROM wrong_password WHERE account = ?1 AND at > ?2

-- :add-wrong-password
INSERT INTO wrong_password (account, station, at) VALUES (?1, ?2, ?3)

-- :look-for-wrong-passwords
UPDATE account SET wrong_password = ?2 WHERE id = ?1

-- :trim-wrong-passwords-here
DELETE FROM wrong_password WHERE id IN (
    SELECT id FROM wrong_password WHERE account = ?1 AND station = ?2
    ORDER BY id DESC LIMIT -1 OFFSET ?3)

-- :trim-wrong-passwords-strange
DELETE FROM wrong_password WHERE id IN (
    SELECT id FROM wrong_password WHERE account = ?1
        AND station NOT IN (SELECT value ->> 0 FROM json_each(?3))
    ORDER BY id DESC LIMIT -1 OFFSET ?2)

-- :clear-wrong-passwords
DELETE FROM wrong_password WHERE account = ?1
    AND (station = ?2 OR station IN (SELECT value ->> 0 FROM json_each(?3)))

-- :add-factor
INSERT INTO factor (account, kind, label, digits, algorithm, seed, proven, enrolled)
VALUES (?1, ?2, ?3, ?4, ?5, x'', ?6, ?7)

-- :seal-factor
UPDATE factor SET seed = ?2 WHERE id = ?1

-- :add-recovery-code
INSERT OR IGNORE INTO recovery_code (factor, digest) VALUES (?1, ?2)

-- :remove-recovery
DELETE FROM factor WHERE account = ?1 AND kind = 'recovery' RETURNING id

-- :remove-factor
DELETE FROM factor WHERE account = ?1 AND id = ?2

-- :remove-factors
DELETE FROM factor WHERE account = ?1

-- :remove-challenges
DELETE FROM challenge WHERE account = ?1

-- :remove-sent-code
DELETE FROM sent_code WHERE account = ?1

-- :forget-messages
UPDATE message SET account = NULL, number = NULL WHERE account = ?1

-- :open-challenge
INSERT INTO challenge (state, account, client, name, body, opened, expires)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)

-- :trim-challenges
DELETE FROM challenge WHERE state IN (
    SELECT state FROM challenge WHERE account = ?1
    ORDER BY opened DESC, rowid DESC LIMIT -1 OFFSET ?2)

-- :take-challenge
DELETE FROM challenge WHERE state = ?1 AND client = ?2 AND name = ?3 RETURNING body, expires

-- :accounts
SELECT stable FROM account
WHERE name > ?1
    AND (locked_until > ?2 OR EXISTS (SELECT 1 FROM factor WHERE factor.account = account.id))
ORDER BY name, id LIMIT ?3

-- :count-accounts
SELECT count(DISTINCT account) FROM factor

-- :stations-after
SELECT id, stations FROM account WHERE id > ?1 ORDER BY id LIMIT ?2

-- :keep-stations
UPDATE account SET stations = ?2 WHERE id = ?1

-- :add-change
INSERT INTO account_change (account, newest, factors, stations, push, remembered) VALUES (?1, ?2, ?3, ?4, ?5, ?6)

-- :changes
SELECT account, newest, factors, stations, push, remembered FROM account_change ORDER BY seq

-- :last-change
SELECT max(seq) FROM account_change

-- :remove-changes
DELETE FROM account_change WHERE seq <= min(?1, (SELECT min(seq) FROM account_change) - 1 + ?2)
