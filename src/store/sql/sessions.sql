-- :find-session
SELECT s.id, account.stable, s.attempt, s.begun, s.ended, s.how, s.body
FROM accounted_session AS s JOIN account ON account.id = s.account
WHERE s.key = ?1 ORDER BY s.attempt IS ?2 DESC, s.id DESC LIMIT 1

-- :session
SELECT s.id, account.stable, s.attempt, s.begun, s.ended, s.how, s.body
FROM accounted_session AS s JOIN account ON account.id = s.account
WHERE s.id = ?1

-- :sessions-of-account
SELECT s.id, account.stable, s.attempt, s.begun, s.ended, s.how, s.body
FROM accounted_session AS s JOIN account ON account.id = s.account
WHERE s.account = ?1 ORDER BY s.id DESC

-- :add-session
INSERT INTO accounted_session (key, scope, account, attempt, begun, until, ended, how, body)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)

-- :save-session
UPDATE accounted_session SET attempt = ?2, until = coalesce(?3, until), ended = ?4, how = ?5, body = ?6 WHERE id = ?1

-- :make-room-for-session
DELETE FROM accounted_session WHERE account = ?1 AND id NOT IN (
    SELECT id FROM accounted_session WHERE account = ?1 ORDER BY ended IS NOT NULL, id DESC LIMIT ?2)

-- :end-scope
UPDATE accounted_session SET ended = max(begun, ?2), how = ?3 WHERE scope = ?1 AND ended IS NULL AND begun <= ?2

-- :end-silent
UPDATE accounted_session SET ended = ?1, how = ?2 WHERE id IN (
    SELECT id FROM accounted_session WHERE until <= ?1 AND ended IS NULL LIMIT ?3)

-- :prune-sessions
DELETE FROM accounted_session WHERE id IN (
    SELECT id FROM (SELECT id, ended FROM accounted_session ORDER BY id LIMIT ?3)
    WHERE ended < ?1 OR id <= (SELECT max(id) FROM accounted_session) - ?2)
