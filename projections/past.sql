-- What the log does not tell by an index. A serve model that is gone by now is looked for in its whole project.

-- name: count_events
SELECT count(*) FROM ({events}) AS selected

-- name: get_service_of_serve_model
SELECT inference_service_id FROM serve_models WHERE id = $1

-- name: list_environments_of
-- Those of the inference services among these streams.
SELECT DISTINCT substring(encode(state, 'escape') FROM '"serving_environment_id":"([0-9a-f-]{36})"')::uuid
    AS serving_environment_id
FROM stored_events
WHERE originator_id = ANY($1::uuid[]) AND originator_version = 1 AND topic = 'inference_service.created'

-- name: list_erasures
-- `+ 0` and no LIMIT, so that nothing is to be had from going through the log by position: they are few, and have an
-- index by topic.
SELECT notification_id, originator_id, originator_version, recorded_at, command_id, request_id
FROM stored_events
WHERE topic = $1 AND ($2::bigint IS NULL OR notification_id <= $2)
ORDER BY notification_id + 0
