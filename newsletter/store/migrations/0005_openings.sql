-- How sends begin under cron: whom of the editors was told, and the first share; what columns are for stands in ../schema.sql.

CREATE TABLE openings (
    send_id BIGINT NOT NULL PRIMARY KEY REFERENCES sends (id),
    canary_rested_at BIGINT
) WITHOUT ROWID;

CREATE TABLE notices (
    send_id BIGINT NOT NULL REFERENCES sends (id),
    editor TEXT NOT NULL,
    told_at BIGINT NOT NULL,
    accepted BIGINT NOT NULL,
    answer TEXT NOT NULL,
    PRIMARY KEY (send_id, editor)
) WITHOUT ROWID;

CREATE TABLE canaries (
    send_id BIGINT NOT NULL REFERENCES sends (id),
    subscriber_id BIGINT NOT NULL REFERENCES subscribers (id),
    PRIMARY KEY (send_id, subscriber_id)
) WITHOUT ROWID;
