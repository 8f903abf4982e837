-- Which version of its code fills each read table, as "name version", for whoever has the log's lock: a process of another
-- release may still run when one is rebuilt, and must not write rows of its own into it. Asked of the same statement as
-- lock_log, behind it: being volatile it begins a statement of its own, which sees a swap that was waited for.
CREATE FUNCTION filled_by() RETURNS text[] LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    RETURN ARRAY(SELECT name || ' ' || version FROM projections);
END $$;
