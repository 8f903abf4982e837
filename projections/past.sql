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
