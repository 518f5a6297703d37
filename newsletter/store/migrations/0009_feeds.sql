-- Feeds and the pool of their entries; what each column is for stands in ../schema.sql.

CREATE TABLE feeds (
    id INTEGER PRIMARY KEY,
    url TEXT NOT NULL UNIQUE,
    title TEXT NOT NULL,
    site TEXT NOT NULL,
    language TEXT NOT NULL,
    weight DOUBLE PRECISION NOT NULL,
    tags TEXT NOT NULL,
    state TEXT NOT NULL,
    etag TEXT NOT NULL,
    last_modified TEXT NOT NULL,
    added_at BIGINT NOT NULL,
    asked_at BIGINT,
    succeeded_at BIGINT,
    read_at BIGINT,
    error TEXT NOT NULL,
    failures BIGINT NOT NULL,
    next_fetch_at BIGINT NOT NULL
);

CREATE TABLE entries (
    id INTEGER PRIMARY KEY,
    feed_id BIGINT NOT NULL REFERENCES feeds (id),
    guid TEXT NOT NULL,
    url TEXT NOT NULL,
    url_key TEXT NOT NULL,
    source TEXT NOT NULL,
    title TEXT NOT NULL,
    summary TEXT NOT NULL,
    author TEXT NOT NULL,
    image TEXT NOT NULL,
    language TEXT NOT NULL,
    tags TEXT NOT NULL,
    published_at BIGINT NOT NULL,
    seen_at BIGINT NOT NULL,
    listed_at BIGINT NOT NULL,
    UNIQUE (feed_id, guid)
);

CREATE INDEX entries_published ON entries (published_at);
CREATE INDEX entries_page ON entries (url_key);
