-- name: get_vitals
-- Looks into indexes, and a count of what is under way: it costs the same however long the log is.
SELECT coalesce((SELECT max(notification_id) FROM stored_events), 0) AS position,
       (SELECT count(*) FROM deployment_tasks WHERE parked IS NULL) AS tasks_open,
       (SELECT count(*) FROM deployment_tasks WHERE parked IS NOT NULL) AS tasks_parked,
       coalesce((
           SELECT extract(epoch FROM clock_timestamp() - recorded_at)::float8 FROM stored_events
           WHERE notification_id = (SELECT min(requested_position) FROM deployment_tasks WHERE parked IS NULL)
       ), 0) AS oldest_task_seconds,
       coalesce(expires_at > clock_timestamp(), false) AS is_worked_on,
       coalesce(expires_at > clock_timestamp() AND follows_cluster, false) AS is_cluster_followed
FROM (VALUES ($1)) AS asked (name) LEFT JOIN subscriptions USING (name)

-- name: list_followers
SELECT name,
       greatest(coalesce((SELECT max(notification_id) FROM stored_events), 0) - position, 0) AS lag_events,
       coalesce((
           SELECT extract(epoch FROM clock_timestamp() - recorded_at)::float8 FROM stored_events
           WHERE notification_id > projections.position ORDER BY notification_id LIMIT 1
       ), 0) AS lag_seconds,
       failed_position IS NOT NULL AS is_stuck
FROM projections WHERE position IS NOT NULL ORDER BY name
