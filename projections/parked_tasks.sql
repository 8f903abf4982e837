-- name: list_unanswered
SELECT id, project_id, revision, position, created_at, updated_at, requested_position, request_id, parked, body
FROM deployment_tasks ORDER BY requested_position
