-- What the chain's hash of each event is made of, ready to be hashed, so that little is left to do per row. The order:
-- hash, time (µs since 2000), position, stream, version, project, command, cause, four lengths, texts. A hash of a
-- wrong length counts as zeros, a cause below zero as one that no event has: nobody writes those but a forger. WITH TIES:
-- nor does anybody else drop the index that keeps a position from being taken twice, and the next page begins after it.
-- name: copy_links
SELECT CASE octet_length(hash) WHEN 32 THEN hash ELSE decode(repeat('00', 32), 'hex') END
    || timestamptz_send(recorded_at) || int8send(notification_id) || uuid_send(originator_id)
    || int8send(originator_version) || uuid_send(project_id) || uuid_send(command_id)
    || int8send(CASE WHEN causation_id IS NULL THEN -1 WHEN causation_id < 0 THEN -2 ELSE causation_id END)
    || int4send(octet_length(topic)) || int4send(octet_length(state))
    || int4send(coalesce(octet_length(actor::text), -1)) || int4send(octet_length(request_id))
    || textsend(topic) || state || coalesce(textsend(actor::text), '') || textsend(request_id)
FROM stored_events
WHERE notification_id > $1
ORDER BY notification_id
FETCH FIRST ($2) ROWS WITH TIES

-- name: list_neighbours
-- A time that Python knows no date for counts as infinite: only a forger writes it.
SELECT notification_id, originator_id, originator_version, topic, state, project_id,
       CASE WHEN recorded_at BETWEEN '0001-01-01 UTC' AND '9999-12-31 23:59:59.999999 UTC' THEN recorded_at
            ELSE 'infinity' END AS recorded_at,
       actor, request_id, command_id, causation_id, hash
FROM stored_events
WHERE notification_id > $1
ORDER BY notification_id
LIMIT $2

-- name: list_hashes
SELECT notification_id, hash FROM stored_events WHERE notification_id = ANY($1::bigint[])

-- name: get_first_position
SELECT min(notification_id) FROM stored_events

-- name: get_last_position
SELECT coalesce(max(notification_id), 0) FROM stored_events
