-- name: acquire_lease
INSERT INTO subscriptions AS held (name, epoch, owner, owner_pid, owner_started, expires_at)
SELECT $1, 1, $2, pid, backend_start, clock_timestamp() + $3::interval
FROM pg_stat_activity WHERE pid = pg_backend_pid()
ON CONFLICT (name) DO UPDATE
SET epoch = held.epoch + 1, owner = excluded.owner, owner_pid = excluded.owner_pid,
    owner_started = excluded.owner_started, expires_at = excluded.expires_at, follows_cluster = false
WHERE held.expires_at < clock_timestamp()
   OR NOT EXISTS (
       SELECT FROM pg_stat_activity WHERE pid = held.owner_pid AND backend_start = held.owner_started
   )
RETURNING epoch

-- name: renew_lease
UPDATE subscriptions
SET expires_at = clock_timestamp() + $3::interval, position = greatest(position, $4), follows_cluster = $5
WHERE name = $1 AND epoch = $2
RETURNING epoch

-- name: release_lease
UPDATE subscriptions SET expires_at = '-infinity', position = greatest(position, $3) WHERE name = $1 AND epoch = $2

-- name: list_tasks_after
SELECT id, project_id, revision, position, created_at, updated_at, requested_position, request_id, parked, body
FROM deployment_tasks
WHERE requested_position > $1 AND parked IS NULL
ORDER BY requested_position
LIMIT $2


-- name: get_standing
SELECT id, project_id, revision, position, created_at, updated_at, requested_position, request_id, body
FROM standing_deployments WHERE id = $1

-- name: list_standing
SELECT id, project_id, revision, position, created_at, updated_at, requested_position, request_id, body
FROM standing_deployments

-- name: is_orphan
SELECT EXISTS (SELECT FROM stored_events WHERE originator_id = $1)
   AND NOT EXISTS (SELECT FROM deployment_tasks WHERE id = $1)
   AND NOT EXISTS (SELECT FROM standing_deployments WHERE id = $1)

-- name: is_leaving
SELECT EXISTS (SELECT FROM deployment_tasks WHERE id = $1 AND body->>'type' = 'delete')

-- name: is_held_by
SELECT EXISTS (SELECT FROM standing_deployments WHERE id = $1 AND body->>'external_id' = $2)

-- name: get_credentials
SELECT c.key_id, c.box, v.body->'labels' AS labels
FROM credentials AS c JOIN model_versions AS v ON v.id = c.version_id WHERE c.version_id = $1

-- name: needed_access
SELECT EXISTS (
    SELECT FROM stored_events
    WHERE originator_id = $1 AND topic = 'inference_service.deployment_requested'
      AND convert_from(state, 'UTF8')::json #>> '{target,has_credentials}' = 'true'
      AND convert_from(state, 'UTF8')::json #>> '{target,storage_uri}' LIKE 's3://%'
)
