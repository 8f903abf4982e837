-- What an auditor filters the log by. Times need none: they never go back, so the first position of a time is found by
-- halving. Each is a column and the position, so that pages come in commit order without sorting.
CREATE INDEX stored_events_project_idx ON stored_events (project_id, notification_id);
CREATE INDEX stored_events_topic_idx ON stored_events (topic, notification_id);
CREATE INDEX stored_events_request_idx ON stored_events (request_id, notification_id) WHERE request_id <> '';
CREATE INDEX stored_events_causation_idx ON stored_events (causation_id) WHERE causation_id IS NOT NULL;
CREATE INDEX stored_events_person_idx ON stored_events ((actor->>'person'), notification_id)
    WHERE (actor->>'person') IS NOT NULL;
-- A model's versions and services, by the events that began their streams: also when all of them are gone. By pattern,
-- because a cast to JSON fails where a payload is none; labels, which might hold the same key, come behind it.
CREATE INDEX stored_events_model_idx ON stored_events
    (substring(encode(state, 'escape') FROM '"registered_model_id":"([0-9a-f-]{36})"'))
    WHERE topic IN ('model_version.registered', 'model_version.taken_over', 'inference_service.created');
