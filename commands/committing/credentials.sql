-- name: save_credentials
-- In the order in which a rotation of keys locks them, so that neither waits for the other in a circle.
INSERT INTO credentials (version_id, project_id, key_id, box)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::bytea[]) AS n (version_id) ORDER BY n.version_id
ON CONFLICT (version_id) DO UPDATE SET key_id = excluded.key_id, box = excluded.box

-- name: delete_credentials
DELETE FROM credentials WHERE version_id = ANY($1::uuid[])
