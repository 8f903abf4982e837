-- The writer, too, is told where the last erasure was: a process may still hold the key of somebody who was erased by
-- another, and nothing may be written with it. Older processes ask for the first three columns alone.
DROP FUNCTION lock_log(bigint, boolean);
CREATE FUNCTION lock_log(
    key bigint, held boolean,
    OUT notification_id bigint, OUT hash bytea, OUT recorded_at timestamptz, OUT last_erasure bigint
) LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    IF held THEN
        -- All of them: session locks nest, and a statement that failed after its lock was granted left one more.
        PERFORM pg_advisory_unlock_all();
    END IF;
    PERFORM pg_advisory_lock(key);
    -- A statement of its own, begun after the lock was granted: it sees all that was committed before.
    SELECT e.notification_id, e.hash, e.recorded_at, coalesce((
        SELECT p.notification_id FROM stored_events AS p
        WHERE p.topic = 'person.erased' ORDER BY p.notification_id DESC LIMIT 1
    ), 0)
    INTO notification_id, hash, recorded_at, last_erasure
    FROM stored_events AS e ORDER BY e.notification_id DESC LIMIT 1;
END $$;
