-- name: list_events
SELECT notification_id, originator_id, originator_version, topic, state, project_id, recorded_at,
       actor, request_id, command_id, causation_id, hash
FROM stored_events

-- name: list_streams_of_model
SELECT originator_id FROM stored_events
WHERE substring(encode(state, 'escape') FROM '"registered_model_id":"([0-9a-f-]{36})"') = $1
  AND topic IN ('model_version.registered', 'model_version.taken_over', 'inference_service.created')

-- name: get_time
SELECT recorded_at FROM stored_events WHERE notification_id >= $1 ORDER BY notification_id LIMIT 1
