-- :add-prompt
INSERT INTO prompt (id, account, salt, digest, number, tries, expires, body)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)

-- :prompt
SELECT state, expires, decided, number, tries, body, salt, digest FROM prompt WHERE id = ?1 AND account = ?2

-- :settle-prompt
UPDATE prompt SET state = ?2, decided = ?3, device = ?4 WHERE id = ?1

-- :miss-number
UPDATE prompt SET tries = tries - 1 WHERE id = ?1

-- :use-prompt
UPDATE prompt SET state = 3 WHERE id = ?1 AND state = 1

-- :sweep-prompts
DELETE FROM prompt WHERE id < ?1

-- :account-of-prompt
SELECT stable FROM account WHERE id = (SELECT account FROM prompt WHERE id = ?1)

-- :add-device
INSERT INTO device (factor, key, bell, language) VALUES (?1, ?2, ?3, ?4)

-- :device
SELECT account.stable, account.name, device.key, device.bell, device.language, device.failed, device.failure, factor.label
FROM device
JOIN factor ON factor.id = device.factor
JOIN account ON account.id = factor.account
WHERE device.factor = ?1

-- :silent
SELECT failed FROM device WHERE factor = ?1

-- :set-bell
UPDATE device SET bell = ?2, failed = NULL, failure = '' WHERE factor = ?1

-- :bell-failed
UPDATE device SET failed = ?2, failure = ?3 WHERE factor = ?1

-- :forget-bell
UPDATE device SET bell = x'', failed = ?2, failure = ?3 WHERE factor = ?1

-- :bell-worked
UPDATE device SET failed = NULL, failure = '' WHERE factor = ?1 AND failed IS NOT NULL

-- :rename-factor
UPDATE factor SET label = ?3 WHERE id = ?1 AND account = ?2

-- :open-pairing
INSERT INTO pairing (account, code, name, expires) VALUES (?1, ?2, ?3, ?4)
ON CONFLICT (account) DO UPDATE
    SET code = excluded.code, name = excluded.name, expires = excluded.expires, device = NULL

-- :find-pairing
SELECT account.stable, pairing.name FROM pairing JOIN account ON account.id = pairing.account
WHERE pairing.code = ?1 AND pairing.expires > ?2 AND pairing.device IS NULL

-- :end-pairing
UPDATE pairing SET device = ?2 WHERE code = ?1

-- :pairing
SELECT expires, device FROM pairing WHERE account = ?1

-- :remove-pairing
DELETE FROM pairing WHERE account = ?1

-- :sweep-pairings
DELETE FROM pairing WHERE expires <= ?1

-- :add-session
INSERT INTO session (token, account, name, proven, expires) VALUES (?1, ?2, ?3, ?4, ?5)

-- :session
SELECT account.stable, session.name, session.proven, session.expires
FROM session JOIN account ON account.id = session.account WHERE session.token = ?1 AND session.expires > ?2

-- :end-session
DELETE FROM session WHERE token = ?1

-- :end-sessions
DELETE FROM session WHERE account = ?1

-- :trim-sessions
DELETE FROM session WHERE token IN (
    SELECT token FROM session WHERE account = ?1 ORDER BY expires DESC LIMIT -1 OFFSET ?2)

-- :sweep-sessions
DELETE FROM session WHERE expires <= ?1

-- :all-bells
SELECT factor, bell FROM device WHERE length(bell) > 0

-- :seal-bell
UPDATE device SET bell = ?2 WHERE factor = ?1
