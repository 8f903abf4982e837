-- The log. The first five columns are the table of the eventsourcing library's PostgreSQL recorder, so that the
-- library can open it; ours follow, each with a default, so that it could write to it, too.
CREATE TABLE stored_events (
    originator_id uuid NOT NULL,
    originator_version bigint NOT NULL,
    topic text NOT NULL,
    state bytea NOT NULL,
    notification_id bigserial NOT NULL,
    project_id uuid NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    actor json,
    request_id text NOT NULL DEFAULT '',
    command_id uuid NOT NULL DEFAULT gen_random_uuid(),
    causation_id bigint,
    hash bytea NOT NULL DEFAULT '',
    CONSTRAINT stored_events_pkey PRIMARY KEY (originator_id, originator_version)
);
CREATE UNIQUE INDEX stored_events_notification_id_idx ON stored_events (notification_id);

COMMENT ON TABLE stored_events IS 'Append-only log of events; positions are commit order and have no gaps';
COMMENT ON COLUMN stored_events.causation_id IS 'position of the event that this one answers';
COMMENT ON COLUMN stored_events.hash IS 'SHA-256 over the hash before and this row; see modeltrail.eventlog.chain';

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the event log is append-only: % on % is refused', TG_OP, TG_TABLE_NAME;
END $$;
CREATE TRIGGER stored_events_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON stored_events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Waits for the writers before, and tells where the log ends. A holder that comes again lets those who wait go
-- first. The lock belongs to the session, so that a writer may commit with its one statement and unlock after it.
CREATE FUNCTION lock_log(
    key bigint, held boolean, OUT notification_id bigint, OUT hash bytea, OUT recorded_at timestamptz
) LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    IF held THEN
        -- All of them: session locks nest, and a statement that failed after its lock was granted left one more.
        PERFORM pg_advisory_unlock_all();
    END IF;
    PERFORM pg_advisory_lock(key);
    -- A statement of its own, begun after the lock was granted: it sees all that was committed before.
    SELECT e.notification_id, e.hash, e.recorded_at INTO notification_id, hash, recorded_at
    FROM stored_events AS e ORDER BY e.notification_id DESC LIMIT 1;
END $$;

-- Where loading a long stream may start. Disposable: a missing or outdated one costs time, never truth.
CREATE TABLE snapshots (
    stream uuid PRIMARY KEY,
    version bigint NOT NULL,
    shape int NOT NULL,
    state bytea NOT NULL
);

-- One key per person, wrapped under a key that is not in the database. Deleting the row erases the person.
CREATE TABLE person_keys (
    person uuid PRIMARY KEY,
    digest bytea NOT NULL UNIQUE,
    key_id text NOT NULL,
    wrapped_key bytea NOT NULL
);
COMMENT ON COLUMN person_keys.digest IS 'keyed digest of the address, to find the person again';
CREATE INDEX person_keys_key_id_idx ON person_keys (key_id, person);

-- What the addresses' digests are keyed with: one key for good, as people must be found again whichever key of the
-- installation it is wrapped under, and whichever of those are gone.
CREATE TABLE digest_key (
    id boolean PRIMARY KEY DEFAULT true CHECK (id),
    key_id text NOT NULL,
    wrapped_key bytea NOT NULL
);

-- What a version's storage is opened with. Never in the log; deletable.
CREATE TABLE credentials (
    version_id uuid PRIMARY KEY,
    project_id uuid NOT NULL,
    key_id text NOT NULL,
    box bytea NOT NULL
);
CREATE INDEX credentials_key_id_idx ON credentials (key_id, version_id);

-- How far a consumer of the log has come, and who may go on. `epoch` grows with each new owner, so that one who
-- was away too long finds out before it writes. The owner's backend tells a dead owner from a slow one.
CREATE TABLE subscriptions (
    name text PRIMARY KEY,
    position bigint NOT NULL DEFAULT 0,
    epoch bigint NOT NULL DEFAULT 0,
    owner text NOT NULL DEFAULT '',
    owner_pid int NOT NULL DEFAULT 0,
    owner_started timestamptz NOT NULL DEFAULT '-infinity',
    expires_at timestamptz NOT NULL DEFAULT '-infinity'
);
