-- name: list_events
SELECT notification_id, originator_id, originator_version, topic, state, project_id, recorded_at,
       actor, request_id, command_id, causation_id, hash
FROM stored_events

-- name: list_events_within
-- Sizes are known without reading what is stored out of line.
SELECT * FROM (
    SELECT *, sum(octet_length(state)) OVER (ORDER BY notification_id) - octet_length(state) AS bytes_before
    FROM ({events}) AS listed
) AS measured
WHERE bytes_before < {size} ORDER BY notification_id

-- name: count_events
SELECT count(*) FROM stored_events

-- name: list_streams_of_models
SELECT originator_id FROM stored_events
WHERE substring(encode(state, 'escape') FROM '"registered_model_id":"([0-9a-f-]{36})"') = ANY($1::text[])
  AND topic IN ('model_version.registered', 'model_version.taken_over', 'inference_service.created')

-- name: get_position_before
-- Times never go back in the log, so halving finds the place without an index on them.
WITH RECURSIVE narrowed (low, high) AS (
    SELECT 0::bigint, coalesce(max(notification_id), 0) FROM stored_events
    UNION ALL
    SELECT CASE WHEN looked_at.is_before THEN middle ELSE low END,
           CASE WHEN looked_at.is_before THEN high ELSE middle - 1 END
    FROM narrowed
    CROSS JOIN LATERAL (SELECT (low + high + 1) / 2 AS middle) AS halves
    CROSS JOIN LATERAL (
        SELECT recorded_at < $1 AS is_before FROM stored_events
        WHERE notification_id >= middle ORDER BY notification_id LIMIT 1
    ) AS looked_at
    WHERE low < high
)
SELECT low FROM narrowed WHERE low >= high LIMIT 1

-- name: get_beginning
SELECT topic, state FROM stored_events WHERE originator_id = $1 ORDER BY originator_version LIMIT 1

-- name: is_over
SELECT $1 <= clock_timestamp()

-- name: nobody_writes
-- Whether the writers' lock is free. It is had for as long as this statement takes, so no writer waits for it.
SELECT pg_try_advisory_xact_lock_shared($1)
