-- What GET of many resources reads. The parts in braces come from a listing's declaration, never from a caller;
-- what callers send goes in as parameters.

-- name: pages
-- Each array as (SELECT $1): the planner then expects the same whether or not it may look at the values, and keeps its
-- plan. Else it plans anew for each query, as so few pages look cheap to it, and that takes longer than the page:
-- measured 0.15 ms for a page of a list where it now takes 0.06, and 0.37 for a search where it takes 0.14.
SELECT asked.number, answer.total, answer.returned, answer.items
FROM unnest({values}) WITH ORDINALITY AS asked ({names}, number)
CROSS JOIN LATERAL ({page}) AS answer

-- name: list_page
SELECT ({total}) AS total,
       count(*) AS returned,
       coalesce(convert_to(string_agg(page.body::text, ','), 'UTF8'), '') AS items
FROM (
    SELECT body FROM {table} WHERE {condition}
    ORDER BY {scope}{sort_key} {direction}, id {direction}
    LIMIT asked.page_limit OFFSET asked.page_offset
) AS page

-- name: sum_of_counts
-- Measured at 100,000 models: counting them anew for each page, 8 connections got 240 pages a second; without that,
-- 11,600.
SELECT coalesce(sum(count), 0)::bigint FROM row_counts WHERE source = '{table}' AND {condition}

-- name: search_page
-- All matches must be found anyhow, to be counted: once, with what the page needs. (Measured at 100,000 models: 0.2 to
-- 0.4 ms for 20 matches; 250 ms when all match.) Whether to go through the project's names or to ask the index, which
-- knows those of all projects and nothing of parts under three characters, is decided here: the planner cannot know
-- how large this project is. Of the two parts only one is executed; `|| ''` and IS NOT DISTINCT FROM keep each from
-- the other's index.
WITH project AS MATERIALIZED (
    SELECT char_length(asked.pattern) < 5 OR coalesce(sum(count), 0) <= 500 AS is_small
    FROM row_counts WHERE source = '{table}' AND row_counts.project_id = asked.project_id
),
matches AS MATERIALIZED (
    SELECT id, body, {sort_key} AS sort_key FROM {table}
    WHERE (SELECT is_small FROM project) AND {condition} AND coalesce(folded_name, name) || '' LIKE asked.pattern
    UNION ALL
    SELECT id, body, {sort_key} AS sort_key FROM {table}
    WHERE NOT (SELECT is_small FROM project) AND {searched} AND coalesce(folded_name, name) LIKE asked.pattern
)
SELECT (SELECT count(*) FROM matches) AS total,
       count(*) AS returned,
       coalesce(convert_to(string_agg(page.body::text, ','), 'UTF8'), '') AS items
FROM (
    SELECT body FROM matches
    ORDER BY sort_key {direction}, id {direction}
    LIMIT asked.page_limit OFFSET asked.page_offset
) AS page

-- name: get_newest
SELECT id FROM {table} WHERE {condition} ORDER BY created_at DESC, id DESC LIMIT 1
