-- What GET of many resources reads. The parts in braces come from a listing's declaration, never from a caller;
-- what callers send goes in as parameters: $1 and $2 are the page, those behind them the filters.

-- name: list_page
SELECT (SELECT count(*) FROM {table} WHERE {condition}) AS total,
       count(*) AS returned,
       coalesce(convert_to(string_agg(page.body::text, ','), 'UTF8'), '') AS items
FROM (
    SELECT body FROM {table} WHERE {condition}
    ORDER BY {expression} {direction}, id {direction}
    LIMIT $1::bigint OFFSET $2::bigint
) AS page

-- name: get_newest
SELECT id FROM {table} WHERE {condition} ORDER BY created_at DESC, id DESC LIMIT 1
