-- Which version of its code filled each read table, and when it was last built anew. `position` is how far one has come
-- that follows the log by itself; null for those that are written with the events.
CREATE TABLE projections (
    name text PRIMARY KEY,
    version int NOT NULL,
    position bigint,
    rebuilt_at timestamptz,
    rebuilt_position bigint
);
INSERT INTO projections (name, version)
SELECT unnest(ARRAY[
    'models', 'model_versions', 'serving_environments', 'inference_services', 'serve_models', 'deployment_tasks',
    'standing_deployments'
]), 1;

-- The rebuild that runs, or was stopped. `token` is new with each start or resumption: whoever holds another one may
-- not swap any more. `position` is how far the shadow tables are. Until they are `filled` they lack indexes and more.
-- `began_at` is where the log ended when they were begun: who is erased behind that may stand in them.
CREATE TABLE projection_rebuild (
    id boolean PRIMARY KEY DEFAULT true CHECK (id),
    token uuid NOT NULL,
    names text[] NOT NULL,
    versions int[] NOT NULL,
    position bigint NOT NULL DEFAULT 0,
    filled boolean NOT NULL DEFAULT false,
    began_at bigint NOT NULL DEFAULT 0,
    host text NOT NULL,
    pid int NOT NULL,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
