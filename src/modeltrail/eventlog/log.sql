-- name: get_head
SELECT notification_id, hash, recorded_at FROM stored_events ORDER BY notification_id DESC LIMIT 1

-- name: lock_log
SELECT notification_id, hash, recorded_at, last_erasure() AS last_erasure, filled_by() AS filled_by
FROM lock_log($1, $2)

-- name: unlock_log
SELECT pg_advisory_unlock_all()

-- name: end_still_holders
-- Not one that the server is at work for, nor one that reads or sends. Of sessions of other roles no state is shown, so
-- they are left alone.
SELECT pid, pg_terminate_backend(pid) AS ended
FROM pg_locks JOIN pg_stat_activity USING (pid)
WHERE locktype = 'advisory' AND granted
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND classid = ($1::bigint >> 32)::oid AND objid = ($1::bigint & 4294967295)::oid AND objsubid = 1
  AND application_name LIKE 'modeltrail %'
  AND (state IN ('idle', 'idle in transaction', 'idle in transaction (aborted)') OR wait_event = 'ClientWrite')
  AND state_change < clock_timestamp() - make_interval(secs => $2)

-- name: insert_events
INSERT INTO stored_events (
    originator_id, originator_version, topic, state, notification_id, project_id, recorded_at,
    actor, request_id, command_id, causation_id, hash
)
SELECT * FROM unnest(
    $1::uuid[], $2::bigint[], $3::text[], $4::bytea[], $5::bigint[], $6::uuid[], $7::timestamptz[],
    $8::json[], $9::text[], $10::uuid[], $11::bigint[], $12::bytea[]
)

-- name: list_events_after
SELECT notification_id, originator_id, originator_version, topic, state, project_id, recorded_at,
       actor, request_id, command_id, causation_id, hash
FROM stored_events
WHERE notification_id > $1
ORDER BY notification_id
LIMIT $2

-- name: list_commands_after
SELECT DISTINCT command_id FROM stored_events WHERE notification_id > $1 AND command_id = ANY($2::uuid[])

-- name: load_streams
-- Each stream by itself, which the ORDER BY inside sees to: where streams are few and long, the planner would rather
-- read all events of all streams after some version, and then look for those that were asked for.
WITH wanted AS (SELECT * FROM unnest($1::uuid[], $2::int[]) AS w (stream, shape)),
usable AS (SELECT s.* FROM wanted JOIN snapshots AS s USING (stream, shape))
SELECT stream, version, NULL AS topic, state FROM usable
UNION ALL
SELECT w.stream, e.originator_version, e.topic, e.state
FROM wanted AS w
LEFT JOIN usable AS u USING (stream)
CROSS JOIN LATERAL (
    SELECT originator_version, topic, state FROM stored_events
    WHERE originator_id = w.stream AND originator_version > coalesce(u.version, 0)
    ORDER BY originator_version
) AS e
ORDER BY 1, 2

-- name: save_snapshots
INSERT INTO snapshots (stream, version, shape, state)
SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::int[], $4::bytea[])
ON CONFLICT (stream) DO UPDATE
SET version = excluded.version, shape = excluded.shape, state = excluded.state
