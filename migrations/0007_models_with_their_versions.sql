-- What a single model shows of its latest and its default version stands in its own row, so that reading it is one
-- look-up: with two more it took three times as long. Null where there is no such version, or where it must be looked for.
ALTER TABLE models
    ADD COLUMN latest_version json,
    ADD COLUMN default_version json,
    -- A row of three documents is soon over 2 kB, where PostgreSQL would begin to compress it, and to unpack it again
    -- for each read.
    SET (toast_tuple_target = 8160);
