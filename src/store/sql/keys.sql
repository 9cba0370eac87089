-- :load-key
SELECT sealed FROM key WHERE name = ?1

-- :store-key
INSERT INTO key (name, sealed) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET sealed = excluded.sealed

-- :all-seeds
SELECT id, seed FROM factor WHERE kind = 'totp'

-- :add-migration
INSERT INTO migration (version, checksum, applied) VALUES (?1, ?2, ?3)

-- :migrations
SELECT version, checksum FROM migration ORDER BY version
