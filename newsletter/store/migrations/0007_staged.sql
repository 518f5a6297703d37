-- People of an import on their way into the list; what each column is for stands in ../schema.sql.

CREATE TABLE staged (
    number BIGINT NOT NULL PRIMARY KEY,
    address_hash BLOB NOT NULL,
    address TEXT NOT NULL,
    domain TEXT NOT NULL,
    name TEXT NOT NULL,
    language TEXT NOT NULL,
    time_zone TEXT NOT NULL,
    attributes TEXT NOT NULL,
    topics TEXT NOT NULL,
    paused_until BIGINT NOT NULL,
    state TEXT NOT NULL,
    origin TEXT NOT NULL,
    joined_at BIGINT NOT NULL,
    event TEXT NOT NULL,
    way TEXT NOT NULL,
    source TEXT NOT NULL,
    reason TEXT NOT NULL
) WITHOUT ROWID;
