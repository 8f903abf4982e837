-- name: get_person
SELECT person, key_id, wrapped_key FROM person_keys WHERE digest = $1

-- name: add_person
INSERT INTO person_keys (person, digest, key_id, wrapped_key) VALUES ($1, $2, $3, $4)
ON CONFLICT (digest) DO NOTHING

-- name: list_people
SELECT person, key_id, wrapped_key FROM person_keys WHERE person = ANY($1::uuid[])

-- name: list_key_ids
SELECT key_id FROM person_keys UNION SELECT key_id FROM credentials
