-- The read tables. Each can be thrown away and built again from the log. `body` is the JSON that GET answers with,
-- ready-made; the other columns are what lists filter and sort by, and what must be unique. `revision` counts the
-- changes of a row and is its ETag; `position` is the event that changed it last.
--
-- Names are unique over an expression, not over two columns: an index that begins with project_id would be one of
-- several, and on a table without statistics the planner takes any of them and reads a whole project for a name.
CREATE TABLE models (
    id uuid PRIMARY KEY,
    project_id uuid NOT NULL,
    revision bigint NOT NULL,
    position bigint NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    name text NOT NULL,
    state text NOT NULL,
    model_type text NOT NULL,
    parent_model_id uuid,
    latest_version_id uuid,
    default_version_id uuid,
    live_services json NOT NULL,
    body json NOT NULL
);
CREATE UNIQUE INDEX models_name_key ON models ((project_id::text || ' ' || name));
CREATE INDEX models_created_idx ON models (project_id, created_at, id);
CREATE INDEX models_parent_idx ON models (parent_model_id) WHERE parent_model_id IS NOT NULL;

-- `brief` is the body without people, for the places that show none; null when `body` names none either.
CREATE TABLE model_versions (
    id uuid PRIMARY KEY,
    project_id uuid NOT NULL,
    revision bigint NOT NULL,
    position bigint NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    registered_model_id uuid NOT NULL,
    name text NOT NULL,
    state text NOT NULL,
    status text NOT NULL,
    body json NOT NULL,
    brief json
);
CREATE UNIQUE INDEX model_versions_name_key ON model_versions ((registered_model_id::text || ' ' || name));
CREATE INDEX model_versions_created_idx ON model_versions (project_id, created_at, id);
CREATE INDEX model_versions_model_idx ON model_versions (registered_model_id, created_at, id);

CREATE TABLE serving_environments (
    id uuid PRIMARY KEY,
    project_id uuid NOT NULL,
    revision bigint NOT NULL,
    position bigint NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    name text NOT NULL,
    body json NOT NULL
);
CREATE UNIQUE INDEX serving_environments_name_key ON serving_environments ((project_id::text || ' ' || name));
CREATE INDEX serving_environments_created_idx ON serving_environments (project_id, created_at, id);

CREATE TABLE inference_services (
    id uuid PRIMARY KEY,
    project_id uuid NOT NULL,
    revision bigint NOT NULL,
    position bigint NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    serving_environment_id uuid NOT NULL,
    registered_model_id uuid NOT NULL,
    model_version_id uuid,
    name text NOT NULL,
    external_id text,
    desired_state text NOT NULL,
    current_state text NOT NULL,
    served_models json NOT NULL,
    body json NOT NULL
);
CREATE UNIQUE INDEX inference_services_name_key ON inference_services ((serving_environment_id::text || ' ' || name));
CREATE INDEX inference_services_created_idx ON inference_services (project_id, created_at, id);
CREATE INDEX inference_services_model_idx ON inference_services (registered_model_id);
CREATE INDEX inference_services_version_idx ON inference_services (model_version_id);

-- What the deploy worker still has to do: one row per inference service with something asked and not answered.
CREATE TABLE deployment_tasks (
    id uuid PRIMARY KEY,
    project_id uuid NOT NULL,
    revision bigint NOT NULL,
    position bigint NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    requested_position bigint NOT NULL,
    request_id text NOT NULL,
    body json NOT NULL
);
CREATE INDEX deployment_tasks_requested_idx ON deployment_tasks (requested_position);
