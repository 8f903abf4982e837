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

-- Finds parts of names: 0.4 ms among 100,000 models. Where the extension is missing, or this role may not create it,
-- searches go through all names of a project: right all the same, but slower as it grows. A superuser can run CREATE
-- EXTENSION pg_trgm later, and then the CREATE INDEX below may be run at any time.
-- New names wait in a list of 1 MB before they go into the index: with 32 writers that made 7,700 models a second,
-- without the list 4,200, without the index 10,000. (A GiST index made 8,500 and took 2 to 9 ms for a search.)
DO $$
BEGIN
    CREATE EXTENSION IF NOT EXISTS pg_trgm;
    CREATE INDEX models_search_idx ON models USING gin (lower(name) gin_trgm_ops) WITH (gin_pending_list_limit = 1024);
EXCEPTION WHEN insufficient_privilege OR feature_not_supported OR undefined_file OR undefined_object THEN
    RAISE WARNING 'without the extension pg_trgm, searches of models are slow in large projects: %', SQLERRM
    USING HINT = 'Let a superuser run CREATE EXTENSION pg_trgm, and then run '
        'CREATE INDEX models_search_idx ON models USING gin (lower(name) gin_trgm_ops)'
        ' WITH (gin_pending_list_limit = 1024)';
END $$;

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
    has_credentials boolean NOT NULL,
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
    awaiting_model_id uuid,
    name text NOT NULL,
    external_id text,
    desired_state text NOT NULL,
    current_state text NOT NULL,
    served_models json NOT NULL,
    body json NOT NULL
);
CREATE UNIQUE INDEX inference_services_name_key ON inference_services ((serving_environment_id::text || ' ' || name));
CREATE INDEX inference_services_created_idx ON inference_services (project_id, created_at, id);
CREATE INDEX inference_services_environment_idx ON inference_services (serving_environment_id);
CREATE INDEX inference_services_model_idx ON inference_services (registered_model_id);
CREATE INDEX inference_services_version_idx ON inference_services (model_version_id);
CREATE INDEX inference_services_external_idx ON inference_services (external_id) WHERE external_id IS NOT NULL;
CREATE INDEX inference_services_awaiting_idx ON inference_services (awaiting_model_id)
    WHERE awaiting_model_id IS NOT NULL;

CREATE TABLE serve_models (
    id uuid PRIMARY KEY,
    project_id uuid NOT NULL,
    revision bigint NOT NULL,
    position bigint NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    inference_service_id uuid NOT NULL,
    model_version_id uuid NOT NULL,
    last_known_state text NOT NULL,
    body json NOT NULL
);
CREATE INDEX serve_models_created_idx ON serve_models (project_id, created_at, id);
CREATE INDEX serve_models_service_idx ON serve_models (inference_service_id);
CREATE INDEX serve_models_version_idx ON serve_models (model_version_id);

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
    parked json,  -- since when and why nobody is at it; null while the deploy worker is
    body json NOT NULL
);
CREATE INDEX deployment_tasks_requested_idx ON deployment_tasks (requested_position);

-- What the cluster should hold: one row per inference service whose newest wish is a deployment, answered or not.
CREATE TABLE standing_deployments (
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

-- How many rows of a read table share these facets: what `total` of a list is the sum of. The triggers below keep it
-- in the transaction that changes the rows, whoever changes them; there is one writer at a time, so it is exact.
CREATE TABLE row_counts (
    source text NOT NULL,
    project_id uuid NOT NULL,
    facets text[] NOT NULL,
    count bigint NOT NULL,
    CONSTRAINT row_counts_pkey PRIMARY KEY (source, project_id, facets)
) WITH (fillfactor = 50);

-- A column's value as a facet. Some are free text, and a key of an index has no room for a long one.
CREATE FUNCTION facet(value text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN octet_length(value) <= 200 THEN value ELSE 'md5 ' || md5(value) END
$$;

-- Whose rows they are. A table that a rebuild fills stands in a schema of its own, and is counted apart until the swap.
CREATE FUNCTION counted_as(schema_name text, table_name text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE schema_name WHEN 'modeltrail_rebuild' THEN 'modeltrail_rebuild.' ELSE '' END || table_name
$$;

-- The facets are the columns that the table's projection names in `counted`, in its order.
DO $$
DECLARE
    counted record;
BEGIN
    FOR counted IN VALUES
        ('models', 'facet(state), facet(model_type)'),
        ('model_versions', 'facet(state), facet(status)'),
        ('serving_environments', ''),
        ('inference_services', 'facet(desired_state), facet(current_state)'),
        ('serve_models', 'facet(last_known_state)')
    LOOP
        EXECUTE format($template$
            CREATE FUNCTION count_%1$s() RETURNS trigger LANGUAGE plpgsql AS $body$
            BEGIN
                IF TG_OP = 'INSERT' THEN
                    INSERT INTO row_counts AS c
                    SELECT counted_as(TG_TABLE_SCHEMA, TG_TABLE_NAME), project_id, ARRAY[%2$s]::text[] AS facets, count(*) FROM new_rows GROUP BY 2, 3
                    ON CONFLICT (source, project_id, facets) DO UPDATE SET count = c.count + excluded.count;
                ELSIF TG_OP = 'DELETE' THEN
                    INSERT INTO row_counts AS c
                    SELECT counted_as(TG_TABLE_SCHEMA, TG_TABLE_NAME), project_id, ARRAY[%2$s]::text[] AS facets, -count(*) FROM old_rows GROUP BY 2, 3
                    ON CONFLICT (source, project_id, facets) DO UPDATE SET count = c.count + excluded.count;
                ELSIF TG_OP = 'UPDATE' THEN
                    INSERT INTO row_counts AS c
                    SELECT counted_as(TG_TABLE_SCHEMA, TG_TABLE_NAME), project_id, facets, sum(change) FROM (
                        SELECT project_id, ARRAY[%2$s]::text[] AS facets, 1 AS change FROM new_rows
                        UNION ALL
                        SELECT project_id, ARRAY[%2$s]::text[] AS facets, -1 AS change FROM old_rows
                    ) AS changes GROUP BY 2, 3 HAVING sum(change) <> 0
                    ON CONFLICT (source, project_id, facets) DO UPDATE SET count = c.count + excluded.count;
                ELSE
                    DELETE FROM row_counts WHERE source = counted_as(TG_TABLE_SCHEMA, TG_TABLE_NAME);
                END IF;
                RETURN NULL;
            END $body$;
            CREATE TRIGGER count_inserted AFTER INSERT ON %1$s REFERENCING NEW TABLE AS new_rows
                FOR EACH STATEMENT EXECUTE FUNCTION count_%1$s();
            CREATE TRIGGER count_updated AFTER UPDATE ON %1$s REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
                FOR EACH STATEMENT EXECUTE FUNCTION count_%1$s();
            CREATE TRIGGER count_deleted AFTER DELETE ON %1$s REFERENCING OLD TABLE AS old_rows
                FOR EACH STATEMENT EXECUTE FUNCTION count_%1$s();
            CREATE TRIGGER count_truncated AFTER TRUNCATE ON %1$s
                FOR EACH STATEMENT EXECUTE FUNCTION count_%1$s();
        $template$, counted.column1, counted.column2);
    END LOOP;
END $$;
