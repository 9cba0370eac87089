-- :find-account
SELECT id, name, wrong, locks, locked_until FROM account WHERE stable = ?1

-- :add-account
INSERT INTO account (stable, name) VALUES (?1, ?2)

-- :name-account
UPDATE account SET name = ?2 WHERE id = ?1

-- :standing
SELECT account.id, account.locked_until, sent_code.digits
FROM account
LEFT JOIN sent_code ON sent_code.account = account.id
    AND sent_code.used IS NULL AND sent_code.tries_left > 0 AND sent_code.expires > ?2
WHERE account.stable = ?1

-- :factors
SELECT id, kind, label,
    CASE kind WHEN 'recovery'
        THEN (SELECT count(*) FROM recovery_code WHERE factor = factor.id AND used IS NULL)
        ELSE digits END,
    proven, enrolled, used
FROM factor WHERE account = ?1 ORDER BY id

-- :station-known
SELECT 1 FROM station WHERE account = ?1 AND station = ?2 AND seen > ?3

-- :wrong-passwords
SELECT wrong_password.station = ?2, wrong_password.at,
    EXISTS (SELECT 1 FROM station WHERE station.account = ?1
        AND station.station = wrong_password.station AND station.seen > ?4)
FROM wrong_password WHERE account = ?1 AND at > ?3

-- :add-wrong-password
INSERT INTO wrong_password (account, station, at) VALUES (?1, ?2, ?3)

-- :trim-wrong-passwords-here
DELETE FROM wrong_password WHERE id IN (
    SELECT id FROM wrong_password WHERE account = ?1 AND station = ?2
    ORDER BY id DESC LIMIT -1 OFFSET ?3)

-- :trim-wrong-passwords-strange
DELETE FROM wrong_password WHERE id IN (
    SELECT id FROM wrong_password WHERE account = ?1
        AND NOT EXISTS (SELECT 1 FROM station WHERE station.account = ?1
            AND station.station = wrong_password.station)
    ORDER BY id DESC LIMIT -1 OFFSET ?2)

-- :clear-wrong-passwords
DELETE FROM wrong_password WHERE account = ?1 AND station = ?2

-- :station-seen
SELECT seen FROM station WHERE account = ?1 AND station = ?2

-- :mark-station
INSERT INTO station (account, station, seen) VALUES (?1, ?2, ?3)
ON CONFLICT (account, station) DO UPDATE SET seen = excluded.seen

-- :trim-stations
DELETE FROM station WHERE account = ?1 AND station IN (
    SELECT station FROM station WHERE account = ?1
    ORDER BY seen DESC LIMIT -1 OFFSET ?2)

-- :add-factor
INSERT INTO factor (account, kind, label, digits, algorithm, seed, proven, enrolled, last_step)
VALUES (?1, ?2, ?3, ?4, ?5, x'', ?6, ?7, ?8)

-- :seal-factor
UPDATE factor SET seed = ?2 WHERE id = ?1

-- :add-recovery-code
INSERT OR IGNORE INTO recovery_code (factor, digest) VALUES (?1, ?2)

-- :remove-recovery
DELETE FROM factor WHERE account = ?1 AND kind = 'recovery'

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
SELECT id, stable, name, locked_until FROM account
WHERE name > ?1
    AND (locked_until > ?2 OR EXISTS (SELECT 1 FROM factor WHERE factor.account = account.id))
ORDER BY name, id LIMIT ?3

-- :known
SELECT id, stable, name, locked_until FROM account WHERE stable = ?1

-- :count-accounts
SELECT count(DISTINCT account) FROM factor
