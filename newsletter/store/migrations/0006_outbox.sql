-- Single mails that wait for their turn, what holds back whoever asks too often, and addresses that are to change; what
-- each column is for stands in ../schema.sql.

CREATE TABLE outbox (
    address_hash BLOB NOT NULL,
    kind TEXT NOT NULL,
    address TEXT,
    wish TEXT NOT NULL,
    queued_at BIGINT NOT NULL,
    due_at BIGINT,
    attempts BIGINT NOT NULL,
    wait BIGINT NOT NULL,
    free_at BIGINT NOT NULL,
    PRIMARY KEY (address_hash, kind)
) WITHOUT ROWID;

CREATE INDEX outbox_due ON outbox (due_at) WHERE due_at IS NOT NULL;

CREATE TABLE cooldowns (
    name TEXT NOT NULL PRIMARY KEY,
    free_at BIGINT NOT NULL
) WITHOUT ROWID;

CREATE TABLE address_changes (
    subscriber_id BIGINT NOT NULL PRIMARY KEY REFERENCES subscribers (id),
    address TEXT NOT NULL,
    hour BIGINT NOT NULL,
    asked_at BIGINT NOT NULL
) WITHOUT ROWID;
