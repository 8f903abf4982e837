-- The first answers to requests with an Idempotency-Key, for those who ask again; see docs/adr. `key` and `fingerprint`
-- are keyed digests of the header and of the request, and `box` is the answer, encrypted under a key that is made of
-- the request and kept nowhere: only who sends the same request again can have it opened.
CREATE TABLE idempotency_keys (
    project_id uuid NOT NULL,
    key bytea NOT NULL,
    fingerprint bytea NOT NULL,
    box bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (project_id, key)
);
CREATE INDEX idempotency_keys_created_idx ON idempotency_keys (created_at);
COMMENT ON COLUMN idempotency_keys.created_at IS 'by the clock of the database, which all processes share';
