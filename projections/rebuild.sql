-- name: compare_counts
WITH wanted AS (
    SELECT project_id, ARRAY[{facets}]::text[] AS facets, sum(count) AS count
    FROM unnest($2::uuid[], $3::bigint[]{arrays}) AS w (project_id, count{names}) GROUP BY 1, 2
), stored AS (
    SELECT project_id, facets, count FROM row_counts WHERE source = $1 AND count <> 0
)
SELECT project_id, facets, coalesce(w.count, 0)::bigint AS expected, coalesce(s.count, 0) AS found
FROM wanted AS w FULL JOIN stored AS s USING (project_id, facets)
WHERE w.count IS DISTINCT FROM s.count

-- name: compare_counts_with_shadow
SELECT project_id, facets, coalesce(s.count, 0) AS expected, coalesce(l.count, 0) AS found
FROM (SELECT * FROM row_counts WHERE source = $1 AND count <> 0) AS l
FULL JOIN (SELECT * FROM row_counts WHERE source = $2 AND count <> 0) AS s USING (project_id, facets)
WHERE l.count IS DISTINCT FROM s.count LIMIT $3

-- name: list_projections
SELECT name, version, position, rebuilt_at, rebuilt_position, failed_position, failure FROM projections

-- name: lock_projections
SELECT name FROM projections WHERE name = ANY($1::text[]) ORDER BY name FOR UPDATE

-- name: save_projection
INSERT INTO projections (name, version, rebuilt_at, rebuilt_position, position)
VALUES ($1, $2, clock_timestamp(), $3::bigint, CASE WHEN $4::boolean THEN $3::bigint END)
ON CONFLICT (name) DO UPDATE
SET version = excluded.version, rebuilt_at = excluded.rebuilt_at, rebuilt_position = excluded.rebuilt_position,
    position = excluded.position, failed_position = NULL, failure = NULL

-- name: save_version
INSERT INTO projections (name, version, position) VALUES ($1, $2, CASE WHEN $3::boolean THEN 0 END)
ON CONFLICT (name) DO UPDATE SET version = excluded.version

-- name: get_lag
SELECT count(*) AS events, coalesce(extract(epoch FROM clock_timestamp() - min(recorded_at)), 0)::float8 AS seconds
FROM stored_events WHERE notification_id > $1

-- name: get_rebuild
SELECT names, versions, position, filled, began_at, host, pid, started_at FROM projection_rebuild

-- name: save_rebuild
INSERT INTO projection_rebuild (token, names, versions, position, filled, began_at, host, pid)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (id) DO UPDATE
SET token = excluded.token, names = excluded.names, versions = excluded.versions, position = excluded.position,
    filled = excluded.filled, began_at = excluded.began_at, host = excluded.host, pid = excluded.pid,
    started_at = excluded.started_at

-- name: move_rebuild
UPDATE projection_rebuild SET position = $2, filled = $3 WHERE token = $1 RETURNING true

-- name: delete_rebuild
DELETE FROM projection_rebuild

-- name: forget_counts
DELETE FROM row_counts WHERE source LIKE 'modeltrail_rebuild.%'

-- name: list_shadows
SELECT tablename FROM pg_tables WHERE schemaname = 'modeltrail_rebuild'

-- name: get_options
SELECT array_to_string(reloptions, ', ') FROM pg_class WHERE oid = format('%I.%I', $1::text, $2::text)::regclass

-- name: list_indexes
-- Those that rows are found by as events are applied, which are B-trees over one plain column, or all others.
SELECT pg_get_indexdef(i.indexrelid) AS definition, con.conname, pg_get_constraintdef(con.oid) AS condef
FROM pg_index AS i
JOIN pg_class AS c ON c.oid = i.indexrelid
JOIN pg_am AS am ON am.oid = c.relam
LEFT JOIN pg_constraint AS con ON con.conindid = i.indexrelid AND con.conrelid = i.indrelid
WHERE i.indrelid = format('%I.%I', $1::text, $2::text)::regclass
  AND (i.indnkeyatts = 1 AND i.indkey[0] <> 0 AND am.amname = 'btree') = $3

-- name: is_any_finished
-- Whether a shadow table has an index that is not of the first kind.
SELECT EXISTS (
    SELECT FROM pg_index AS i
    JOIN pg_class AS c ON c.oid = i.indexrelid
    JOIN pg_am AS am ON am.oid = c.relam
    WHERE c.relnamespace = to_regnamespace('modeltrail_rebuild')
      AND NOT (i.indnkeyatts = 1 AND i.indkey[0] <> 0 AND am.amname = 'btree')
)

-- name: list_triggers
SELECT pg_get_triggerdef(oid) AS definition FROM pg_trigger
WHERE tgrelid = format('%I.%I', $1::text, $2::text)::regclass AND NOT tgisinternal

-- name: list_grants
SELECT format(
    'GRANT %s ON modeltrail_rebuild.%I TO %s%s', a.privilege_type, $2::text,
    CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END,
    CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END
) AS statement
FROM pg_class AS c, aclexplode(c.relacl) AS a
WHERE c.oid = format('%I.%I', $1::text, $2::text)::regclass AND a.grantee <> c.relowner
