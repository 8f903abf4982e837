-- name: get_remembered
SELECT project_id, key, fingerprint, box
FROM idempotency_keys
WHERE (project_id, key) IN (SELECT * FROM unnest($1::uuid[], $2::bytea[])) AND created_at > now() - $3::interval

-- name: save_remembered
-- A key that is there has expired: a command that finds it still good remembers nothing.
INSERT INTO idempotency_keys (project_id, key, fingerprint, box)
SELECT * FROM unnest($1::uuid[], $2::bytea[], $3::bytea[], $4::bytea[])
ON CONFLICT (project_id, key) DO UPDATE
SET fingerprint = excluded.fingerprint, box = excluded.box, created_at = excluded.created_at

-- name: delete_expired
-- Goes with save_remembered in one statement, which must not touch a row twice.
DELETE FROM idempotency_keys
WHERE ctid = ANY (ARRAY(
    SELECT ctid
    FROM idempotency_keys
    WHERE created_at <= now() - $5::interval AND key <> ALL ($2::bytea[])
    ORDER BY created_at
    LIMIT $6
))
