-- name: is_behind
SELECT position < coalesce((SELECT max(notification_id) FROM stored_events), 0) FROM projections WHERE name = $1

-- name: lock_checkpoint
SELECT version, position FROM projections WHERE name = $1 FOR UPDATE

-- name: move_checkpoint
UPDATE projections SET position = $2, failed_position = NULL, failure = NULL WHERE name = $1

-- name: save_failure
UPDATE projections
SET failure = $2,
    failed_position = (SELECT min(notification_id) FROM stored_events WHERE notification_id > projections.position)
WHERE name = $1
RETURNING failed_position

-- name: get_reach
SELECT position, greatest((SELECT max(notification_id) FROM stored_events) - position, 0) AS behind
FROM projections WHERE name = $1
