-- Where the last erasure was: a process may still hold the key of somebody who was erased by another, and nothing may be
-- written with it. Asked of the same statement as lock_log, behind it: being volatile it begins a statement of its own,
-- which sees all that was committed before the lock was granted.
CREATE FUNCTION last_erasure() RETURNS bigint LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    RETURN coalesce((
        SELECT notification_id FROM stored_events
        WHERE topic = 'person.erased' ORDER BY notification_id DESC LIMIT 1
    ), 0);
END $$;
