-- What GET of a single resource reads: every row by primary key, the JSON ready-made.
-- The array as (SELECT $1), so that the plan is kept; see lists.sql.

-- name: get_model_documents
-- Versions that the row itself does not hold are few; a key that is NULL is not looked for.
SELECT m.id, m.project_id, m.revision, NULL::uuid AS parent_id, m.body,
       coalesce(m.latest_version, latest.brief, latest.body) AS latest,
       coalesce(m.default_version, chosen.brief, chosen.body) AS "default"
FROM models AS m
LEFT JOIN model_versions AS latest ON latest.id = CASE WHEN m.latest_version IS NULL THEN m.latest_version_id END
LEFT JOIN model_versions AS chosen ON chosen.id = CASE WHEN m.default_version IS NULL THEN m.default_version_id END
WHERE m.id = ANY((SELECT $1::uuid[])::uuid[])

-- name: get_version_documents
SELECT id, project_id, revision, registered_model_id AS parent_id, body FROM model_versions WHERE id = ANY((SELECT $1::uuid[])::uuid[])

-- name: get_environment_documents
SELECT id, project_id, revision, NULL::uuid AS parent_id, body FROM serving_environments WHERE id = ANY((SELECT $1::uuid[])::uuid[])

-- name: get_service_documents
SELECT id, project_id, revision, NULL::uuid AS parent_id, body, served_models FROM inference_services WHERE id = ANY((SELECT $1::uuid[])::uuid[])

-- name: get_serve_model_documents
SELECT id, project_id, revision, NULL::uuid AS parent_id, body FROM serve_models WHERE id = ANY((SELECT $1::uuid[])::uuid[])

-- name: get_task_documents
SELECT id, project_id, revision, NULL::uuid AS parent_id, body FROM deployment_tasks WHERE id = ANY((SELECT $1::uuid[])::uuid[])

-- name: get_standing_documents
SELECT id, project_id, revision, NULL::uuid AS parent_id, body FROM standing_deployments WHERE id = ANY((SELECT $1::uuid[])::uuid[])

-- name: get_activity_documents
SELECT id, project_id, revision, NULL::uuid AS parent_id, body FROM activity WHERE id = ANY((SELECT $1::uuid[])::uuid[])

-- name: get_search_documents
SELECT id, project_id, revision, NULL::uuid AS parent_id, body FROM search WHERE id = ANY((SELECT $1::uuid[])::uuid[])
