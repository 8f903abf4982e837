-- name: count_events_naming
SELECT count(*) FROM stored_events
WHERE notification_id > $3 AND notification_id <= $4 AND topic = ANY($1::text[]) AND position($2::bytea IN state) > 0

-- name: count_acts
SELECT count(*) FROM stored_events WHERE (actor->>'person') = $1

-- name: delete_person
DELETE FROM person_keys WHERE person = $1 RETURNING person

-- name: notify
SELECT pg_notify($1, $2)
