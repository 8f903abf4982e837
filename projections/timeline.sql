-- By the primary key, which goes through one stream in order. A stream is short beside the log, so that looking for the
-- position in it costs nothing.
-- name: list_moments
SELECT notification_id, topic, state, recorded_at, actor
FROM stored_events
WHERE originator_id = $1 AND notification_id > $2 AND ($4::bigint IS NULL OR notification_id <= $4)
ORDER BY originator_version
LIMIT $3

-- name: list_version_names
SELECT id, name FROM model_versions WHERE id = ANY($1::uuid[])
