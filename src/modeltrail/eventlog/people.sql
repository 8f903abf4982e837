-- name: get_person
-- In one look at the database: a function of its own could see an erasure that came after the key was read.
SELECT person, key_id, wrapped_key, coalesce((
    SELECT notification_id FROM stored_events WHERE topic = 'person.erased' ORDER BY notification_id DESC LIMIT 1
), 0) AS last_erasure
FROM person_keys WHERE digest = $1

-- name: list_keys_by_digest
SELECT person, digest, key_id, wrapped_key FROM person_keys WHERE digest = ANY($1::bytea[])

-- name: insert_keys
-- By whoever has the log's lock, in the statement that inserts the events which name these people.
INSERT INTO person_keys (person, digest, key_id, wrapped_key)
SELECT * FROM unnest($1::uuid[], $2::bytea[], $3::text[], $4::bytea[])

-- name: list_people
SELECT person, key_id, wrapped_key FROM person_keys WHERE person = ANY($1::uuid[])

-- name: list_keys_of
SELECT person FROM person_keys WHERE person = ANY($1::uuid[])

-- name: has_people
SELECT EXISTS (SELECT FROM person_keys)

-- name: get_digest_key
SELECT key_id, wrapped_key FROM digest_key

-- name: add_digest_key
INSERT INTO digest_key (key_id, wrapped_key) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING
