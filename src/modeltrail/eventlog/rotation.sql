-- name: list_key_uses
SELECT 'credentials' AS kind, key_id, count(*) AS boxes FROM credentials GROUP BY key_id
UNION ALL SELECT 'person keys', key_id, count(*) FROM person_keys GROUP BY key_id
UNION ALL SELECT 'digest key', key_id, count(*) FROM digest_key GROUP BY key_id

-- One box for each key and table, found by hops over the indexes: as quick with a million of them as with ten.
-- name: list_samples
WITH RECURSIVE used_by_credentials AS (
    (SELECT key_id FROM credentials ORDER BY key_id LIMIT 1)
    UNION ALL
    SELECT (SELECT c.key_id FROM credentials c WHERE c.key_id > u.key_id ORDER BY c.key_id LIMIT 1)
    FROM used_by_credentials u WHERE u.key_id IS NOT NULL
), used_by_people AS (
    (SELECT key_id FROM person_keys ORDER BY key_id LIMIT 1)
    UNION ALL
    SELECT (SELECT p.key_id FROM person_keys p WHERE p.key_id > u.key_id ORDER BY p.key_id LIMIT 1)
    FROM used_by_people u WHERE u.key_id IS NOT NULL
)
SELECT s.key_id, s.version_id AS id, s.box FROM used_by_credentials u CROSS JOIN LATERAL
    (SELECT * FROM credentials c WHERE c.key_id = u.key_id ORDER BY c.key_id, c.version_id LIMIT 1) s
UNION ALL
SELECT s.key_id, s.person, s.wrapped_key FROM used_by_people u CROSS JOIN LATERAL
    (SELECT * FROM person_keys p WHERE p.key_id = u.key_id ORDER BY p.key_id, p.person LIMIT 1) s
UNION ALL
SELECT key_id, NULL, wrapped_key FROM digest_key

-- Locked in one order by everybody, so that two rotations wait for, and never block, each other.
-- name: lock_credentials
SELECT version_id AS id, box FROM credentials WHERE key_id = $1 AND version_id > $2
ORDER BY version_id LIMIT $3 FOR UPDATE

-- name: lock_person_keys
SELECT person AS id, wrapped_key AS box FROM person_keys WHERE key_id = $1 AND person > $2
ORDER BY person LIMIT $3 FOR UPDATE

-- name: take_turn
SELECT pg_advisory_xact_lock($1)

-- name: list_samples_under
(SELECT version_id AS id, box FROM credentials WHERE key_id = $1 ORDER BY version_id LIMIT 1)
UNION ALL
(SELECT person, wrapped_key FROM person_keys WHERE key_id = $1 ORDER BY person LIMIT 1)
UNION ALL
SELECT NULL, wrapped_key FROM digest_key WHERE key_id = $1

-- name: lock_digest_key
SELECT key_id, wrapped_key FROM digest_key WHERE key_id <> $1 FOR UPDATE

-- name: save_credentials
UPDATE credentials SET key_id = $1, box = n.box FROM unnest($2::uuid[], $3::bytea[]) AS n (id, box)
WHERE version_id = n.id

-- name: save_person_keys
UPDATE person_keys SET key_id = $1, wrapped_key = n.box FROM unnest($2::uuid[], $3::bytea[]) AS n (id, box)
WHERE person = n.id

-- name: save_digest_key
UPDATE digest_key SET key_id = $1, wrapped_key = $2
