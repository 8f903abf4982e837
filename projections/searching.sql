-- name: search
-- Each `(SELECT …)` without a table is worked out once, not for each row. The part in braces is one of two texts of ours.
WITH hits AS MATERIALIZED (
    SELECT id, name, body, name_words = $3 AS is_exact,
           ts_rank(words, (SELECT to_tsquery('simple', $2))) AS rank
    FROM {table}
    WHERE words @@ (SELECT to_tsquery('simple', $2) && quote_literal('project ' || $1::uuid::text)::tsquery)
      AND project_id = $1 AND ($4 = '' OR kind = $4)
)
SELECT (SELECT count(*) FROM hits) AS total,
       count(*) AS returned,
       coalesce(convert_to(string_agg(body::text, ','), 'UTF8'), '') AS items
FROM (SELECT body FROM hits ORDER BY is_exact DESC, rank DESC, name, id LIMIT $5 OFFSET $6) AS best
