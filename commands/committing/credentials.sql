-- name: save_credentials
INSERT INTO credentials (version_id, project_id, key_id, box)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::bytea[])
ON CONFLICT (version_id) DO UPDATE SET key_id = excluded.key_id, box = excluded.box

-- name: delete_credentials
DELETE FROM credentials WHERE version_id = ANY($1::uuid[])
