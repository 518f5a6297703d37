-- What the token buckets of transports and recipient domains have given out; what the column is for stands in ../schema.sql.

CREATE TABLE buckets (
    name TEXT NOT NULL PRIMARY KEY,
    full_at BIGINT NOT NULL
) WITHOUT ROWID;
