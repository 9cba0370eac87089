-- :seed
SELECT digits, algorithm, seed FROM factor WHERE id = ?1 AND account = ?2 AND kind = 'totp'

-- :recovery-code
SELECT factor.id, recovery_code.used FROM factor
JOIN recovery_code ON recovery_code.factor = factor.id AND recovery_code.digest = ?2
WHERE factor.account = ?1 AND factor.kind = 'recovery'

-- :use-recovery-code
UPDATE recovery_code SET used = ?3 WHERE factor = ?1 AND digest = ?2 AND used IS NULL

-- :sent-code
SELECT kind, digest, used FROM sent_code WHERE account = ?1 AND tries_left > 0 AND expires > ?2

-- :use-sent-code
UPDATE sent_code SET used = ?2 WHERE account = ?1 AND used IS NULL

-- :miss-sent-code
UPDATE sent_code SET tries_left = tries_left - 1 WHERE account = ?1 AND used IS NULL AND tries_left > 0

-- :wrong-code
SELECT 1 FROM wrong_code WHERE account = ?1 AND digest = ?2 AND at > ?3

-- :add-wrong-code
INSERT INTO wrong_code (account, digest, at) VALUES (?1, ?2, ?3)
ON CONFLICT (account, digest) DO UPDATE SET at = excluded.at

-- :clear-wrong-codes
DELETE FROM wrong_code WHERE account = ?1

-- :set-wrong
UPDATE account SET wrong = ?2, locks = ?3, locked_until = ?4 WHERE id = ?1

-- :number
SELECT trusted_at FROM number WHERE account = ?1 AND digest = ?2

-- :numbers-known
SELECT EXISTS (SELECT 1 FROM number WHERE account = ?1)

-- :see-number
INSERT INTO number (account, digest, trusted_at, last_seen) VALUES (?1, ?2, ?3, ?4)
ON CONFLICT (account, digest) DO UPDATE SET last_seen = excluded.last_seen

-- :trim-numbers
DELETE FROM number WHERE account = ?1 AND digest IN (
    SELECT digest FROM number WHERE account = ?1
    ORDER BY last_seen DESC LIMIT -1 OFFSET ?2)

-- :nth-message-to-number
SELECT at FROM message WHERE number = ?1 AND at > ?2 ORDER BY at DESC LIMIT 1 OFFSET ?3

-- :nth-message-for-account
SELECT at FROM message WHERE account = ?1 AND at > ?2 ORDER BY at DESC LIMIT 1 OFFSET ?3

-- :nth-message
SELECT at FROM message WHERE ?1 IS NULL AND at > ?2 ORDER BY at DESC LIMIT 1 OFFSET ?3

-- :add-message
INSERT INTO message (at, account, number) VALUES (?1, ?2, ?3)

-- :open-sent-code
INSERT INTO sent_code (account, kind, digest, digits, tries_left, expires) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
ON CONFLICT (account) DO UPDATE SET kind = excluded.kind, digest = excluded.digest,
    digits = excluded.digits, tries_left = excluded.tries_left, expires = excluded.expires, used = NULL

-- :look-for-sent-code
UPDATE account SET sent_until = ?2 WHERE id = ?1
