-- :add-decision
INSERT INTO decision (at, attempt, account, previous, name, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)

-- :count-failure
INSERT INTO failure (at, account, client, reason, last, count, names, stations)
VALUES (?1, ?2, ?3, ?4, ?5, 1, '[]', '[]')
ON CONFLICT (account, at, client, reason) DO UPDATE
    SET count = count + 1, last = max(last, excluded.last)
RETURNING id, names, stations

-- :sample-failure
UPDATE failure SET names = ?2, stations = ?3 WHERE id = ?1

-- :add-operator
INSERT INTO operator (at, account, uid, what) VALUES (?1, ?2, ?3, ?4)

-- :add-accounting
INSERT INTO accounting (at, digest, body) VALUES (?1, ?2, ?3) ON CONFLICT (digest) DO NOTHING

-- :decisions-newest
SELECT decision.at, attempt, account.stable, decision.name, body
FROM decision LEFT JOIN account ON account.id = decision.account
ORDER BY decision.id DESC LIMIT ?1

-- :decisions-of-account
WITH RECURSIVE chain (id, previous, account) AS (
    SELECT decision.id, previous, account.id
    FROM json_each(?3) AS start JOIN account ON account.id = start.value ->> 0
    JOIN decision ON decision.id = coalesce(start.value ->> 1, account.newest) AND decision.account = account.id
    WHERE account.id = ?2
    UNION ALL
    SELECT decision.id, decision.previous, chain.account
    FROM chain JOIN decision
        ON decision.id = chain.previous AND decision.id < chain.id AND decision.account = chain.account
    LIMIT ?1)
SELECT decision.at, attempt, account.stable, decision.name, body
FROM chain JOIN decision ON decision.id = chain.id JOIN account ON account.id = chain.account
ORDER BY decision.id DESC LIMIT ?1

-- :decisions-of-attempt
SELECT decision.at, attempt, account.stable, decision.name, body
FROM decision LEFT JOIN account ON account.id = decision.account
WHERE attempt = ?2 ORDER BY decision.id DESC LIMIT ?1

-- :accounts-of-name
SELECT id FROM account WHERE name = ?1

-- :decisions-of-name
WITH RECURSIVE chain (id, previous, account) AS (
    SELECT decision.id, previous, account.id
    FROM json_each(?3) AS start JOIN account ON account.id = start.value ->> 0
    JOIN decision ON decision.id = coalesce(start.value ->> 1, account.newest) AND decision.account = account.id
    UNION ALL
    SELECT decision.id, decision.previous, chain.account
    FROM chain JOIN decision
        ON decision.id = chain.previous AND decision.id < chain.id AND decision.account = chain.account
    ORDER BY 1 DESC LIMIT ?1)
SELECT decision.at, attempt, account.stable, decision.name, body
FROM decision LEFT JOIN account ON account.id = decision.account
WHERE decision.id IN (
    SELECT id FROM decision WHERE account IS NULL AND name = ?2
    UNION
    SELECT id FROM chain)
ORDER BY decision.id DESC LIMIT ?1

-- :failures-newest
SELECT failure.at, last, count, account.stable, names, failure.stations, client, reason
FROM failure LEFT JOIN account ON account.id = failure.account
ORDER BY failure.id DESC LIMIT ?1

-- :failures-of-account
SELECT failure.at, last, count, account.stable, names, failure.stations, client, reason
FROM failure JOIN account ON account.id = failure.account
WHERE failure.account = ?2 ORDER BY failure.at DESC LIMIT ?1

-- :failures-of-name
SELECT failure.at, last, count, account.stable, names, failure.stations, client, reason
FROM failure LEFT JOIN account ON account.id = failure.account
WHERE failure.account IN (SELECT id FROM account WHERE name = ?2)
    OR (failure.account = 0 AND EXISTS (SELECT 1 FROM json_each(failure.names) WHERE value = ?2))
ORDER BY failure.at DESC LIMIT ?1

-- :failures-between
SELECT failure.at, last, count, account.stable, names, failure.stations, client, reason
FROM failure LEFT JOIN account ON account.id = failure.account
WHERE failure.at > ?2 - 60000 AND failure.at <= ?3 AND last >= ?2 ORDER BY failure.id DESC LIMIT ?1

-- :operators-newest
SELECT operator.at, account.stable, uid, what
FROM operator LEFT JOIN account ON account.id = operator.account
ORDER BY operator.id DESC LIMIT ?1

-- :operators-of-account
SELECT operator.at, account.stable, uid, what
FROM operator JOIN account ON account.id = operator.account
WHERE operator.account = ?2 ORDER BY operator.id DESC LIMIT ?1

-- :operators-of-name
SELECT operator.at, account.stable, uid, what
FROM operator JOIN account ON account.id = operator.account
WHERE account.name = ?2 ORDER BY operator.id DESC LIMIT ?1

-- :rows
SELECT (SELECT coalesce(max(id) - min(id) + 1, 0) FROM decision)
     + (SELECT coalesce(max(id) - min(id) + 1, 0) FROM failure)
     + (SELECT coalesce(max(id) - min(id) + 1, 0) FROM operator)

-- :prune-decision
DELETE FROM decision WHERE id IN (
    SELECT id FROM (SELECT id, at FROM decision ORDER BY id LIMIT ?3)
    WHERE at < ?1 OR id <= (SELECT max(id) FROM decision) - ?2)

-- :prune-failure
DELETE FROM failure WHERE id IN (
    SELECT id FROM (SELECT id, at FROM failure ORDER BY id LIMIT ?3)
    WHERE at < ?1 OR id <= (SELECT max(id) FROM failure) - ?2)

-- :prune-operator
DELETE FROM operator WHERE id IN (
    SELECT id FROM (SELECT id, at FROM operator ORDER BY id LIMIT ?3)
    WHERE at < ?1 OR id <= (SELECT max(id) FROM operator) - ?2)

-- :prune-accounting
DELETE FROM accounting WHERE id IN (
    SELECT id FROM (SELECT id, at FROM accounting ORDER BY id LIMIT ?3)
    WHERE at < ?1 OR id <= (SELECT max(id) FROM accounting) - ?2)

-- :touch
INSERT INTO failure (at, account, client, reason, last, count, names, stations)
VALUES (0, 0, '', '', 0, 0, hex(zeroblob(?1)), '[]')

-- :untouch
DELETE FROM failure WHERE id = ?1

-- :sweep-challenges
DELETE FROM challenge WHERE expires <= ?1

-- :sweep-sent-codes
DELETE FROM sent_code WHERE expires <= ?1

-- :sweep-messages
DELETE FROM message WHERE at <= ?1

-- :sweep-wrong-codes
DELETE FROM wrong_code WHERE at <= ?1

-- :sweep-wrong-passwords
DELETE FROM wrong_password WHERE at <= ?1
