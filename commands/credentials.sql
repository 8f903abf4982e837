-- name: save_credentials
INSERT INTO credentials (version_id, project_id, key_id, box) VALUES ($1, $2, $3, $4)
ON CONFLICT (version_id) DO UPDATE SET key_id = excluded.key_id, box = excluded.box

-- name: delete_credentials
DELETE FROM credentials WHERE version_id = ANY($1::uuid[])
