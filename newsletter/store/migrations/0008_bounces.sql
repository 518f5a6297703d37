-- What came back of which message, and which mails were read; what each column is for stands in ../schema.sql.

CREATE TABLE bounces (
    id INTEGER PRIMARY KEY,
    subscriber_id BIGINT NOT NULL REFERENCES subscribers (id),
    send_id BIGINT REFERENCES sends (id),
    weight TEXT NOT NULL,
    fate TEXT NOT NULL,
    suppressed BIGINT NOT NULL,
    reason TEXT NOT NULL,
    status TEXT NOT NULL,
    code BIGINT NOT NULL,
    reply TEXT NOT NULL,
    source TEXT NOT NULL,
    at BIGINT NOT NULL
);

CREATE INDEX bounces_subscriber ON bounces (subscriber_id, id);
CREATE INDEX bounces_kept ON bounces (id) WHERE fate = 'kept';

CREATE TABLE bounce_mails (
    digest BLOB NOT NULL PRIMARY KEY,
    read_at BIGINT NOT NULL
) WITHOUT ROWID;
