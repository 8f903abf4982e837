-- name: list_history_after
SELECT notification_id, originator_id, originator_version, topic, state, project_id, recorded_at, request_id,
       command_id, causation_id
FROM stored_events
WHERE notification_id > $1
ORDER BY notification_id
LIMIT $2
