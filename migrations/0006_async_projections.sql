-- The read tables that follow the log by themselves; see docs/adr. `failed_position` is the event at which one stands
-- still, and `failure` why; null while all goes well.
ALTER TABLE projections ADD COLUMN failed_position bigint, ADD COLUMN failure text;
INSERT INTO projections (name, version, position) VALUES ('activity', 1, 0);

-- What happened in a project on a day (UTC): one row for each day on which anything did.
CREATE TABLE activity (
    id uuid PRIMARY KEY,
    project_id uuid NOT NULL,
    revision bigint NOT NULL,
    position bigint NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    day date NOT NULL,
    body json NOT NULL
);
CREATE INDEX activity_created_idx ON activity (project_id, created_at, id);
