-- name: search
-- The rows and how far they go, at one moment. Each `(SELECT …)` without a table is worked out once, not for each row.
WITH hits AS MATERIALIZED (
    SELECT id, name, body, name_words = $3 AS is_exact,
           ts_rank(words, (SELECT to_tsquery('simple', $2))) AS rank
    FROM search
    WHERE words @@ (SELECT to_tsquery('simple', $2) && quote_literal('project ' || $1::uuid::text)::tsquery)
      AND project_id = $1 AND ($4 = '' OR kind = $4)
)
SELECT reached.position,
       greatest((SELECT max(notification_id) FROM stored_events) - reached.position, 0) AS behind,
       (SELECT count(*) FROM hits) AS total,
       page.returned,
       page.items
FROM projections AS reached
CROSS JOIN LATERAL (
    SELECT count(*) AS returned, coalesce(convert_to(string_agg(body::text, ','), 'UTF8'), '') AS items
    FROM (SELECT body FROM hits ORDER BY is_exact DESC, rank DESC, name, id LIMIT $5 OFFSET $6) AS best
) AS page
WHERE reached.name = 'search'
