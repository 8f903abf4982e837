-- What the log does not tell by an index. A serve model that is gone by now is looked for in its whole project.

-- name: count_events
SELECT count(*) FROM ({events}) AS selected

-- name: get_service_of_serve_model
SELECT inference_service_id FROM serve_models WHERE id = $1
