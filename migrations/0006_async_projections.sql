-- The read tables that follow the log by themselves; see docs/adr. `failed_position` is the event at which one stands
-- still, and `failure` why; null while all goes well.
ALTER TABLE projections ADD COLUMN failed_position bigint, ADD COLUMN failure text;
INSERT INTO projections (name, version, position) VALUES ('activity', 1, 0), ('search', 1, 0);

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

-- Words as they are indexed. Each begins with a letter, because PostgreSQL's parser takes the beginning of 16e40ce for a
-- number, and makes two words of it. (RETURN and not a text, which a restored dump could not resolve: it has no
-- search_path.)
CREATE FUNCTION searchable(words text, weight "char") RETURNS tsvector LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN words = '' THEN ''::tsvector
    ELSE setweight(to_tsvector('simple', replace(' ' || words, ' ', ' w')), weight) END;

-- All the words that lead to a row. The project's id is one of them, so that the index finds what is in one project and
-- has the words asked for, among any number of projects; it holds characters that no other word has.
CREATE FUNCTION all_searchable(
    project_id uuid, name_words text, tag_words text, label_words text, description_words text
) RETURNS tsvector LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN searchable(name_words, 'A') || searchable(tag_words, 'B') || searchable(label_words, 'B')
    || searchable(description_words, 'D') || array_to_tsvector(ARRAY['project ' || project_id::text]);

-- What can be searched for: one row for each model, version, environment and inference service.
CREATE TABLE search (
    id uuid PRIMARY KEY,
    project_id uuid NOT NULL,
    revision bigint NOT NULL,
    position bigint NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    kind text NOT NULL,
    name text NOT NULL,
    name_words text NOT NULL,
    tag_words text NOT NULL,
    label_words text NOT NULL,
    description_words text NOT NULL,
    body json NOT NULL,
    words tsvector NOT NULL GENERATED ALWAYS AS (
        all_searchable(project_id, name_words, tag_words, label_words, description_words)
    ) STORED
);
CREATE INDEX search_words_idx ON search USING gin (words);
