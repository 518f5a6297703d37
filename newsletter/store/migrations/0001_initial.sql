-- Lists, subscribers, editions, sends and the ledger; what each column is for stands in ../schema.sql.

CREATE TABLE meta (
    key TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE lists (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    title TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE subscribers (
    id INTEGER PRIMARY KEY,
    address_hash BLOB NOT NULL UNIQUE,
    address TEXT,
    domain TEXT NOT NULL,
    name TEXT NOT NULL,
    language TEXT NOT NULL,
    time_zone TEXT NOT NULL,
    attributes TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    changed_at BIGINT NOT NULL
);

CREATE TABLE subscriptions (
    list_id BIGINT NOT NULL REFERENCES lists (id),
    subscriber_id BIGINT NOT NULL REFERENCES subscribers (id),
    state TEXT NOT NULL,
    origin TEXT NOT NULL,
    joined_at BIGINT NOT NULL,
    changed_at BIGINT NOT NULL,
    PRIMARY KEY (list_id, subscriber_id)
) WITHOUT ROWID;

CREATE TABLE suppressions (
    address_hash BLOB NOT NULL PRIMARY KEY,
    reason TEXT NOT NULL,
    since BIGINT NOT NULL,
    note TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE editions (
    id INTEGER PRIMARY KEY,
    issue TEXT NOT NULL,
    kind TEXT NOT NULL,
    language TEXT NOT NULL,
    variant TEXT NOT NULL,
    revision BIGINT NOT NULL,
    format BIGINT NOT NULL,
    digest TEXT NOT NULL UNIQUE,
    content TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE INDEX editions_issue ON editions (issue, kind);

CREATE TABLE approvals (
    id INTEGER PRIMARY KEY,
    issue TEXT NOT NULL,
    source_digest TEXT NOT NULL,
    content TEXT NOT NULL,
    approved_by TEXT NOT NULL,
    approved_at BIGINT NOT NULL
);

CREATE INDEX approvals_issue ON approvals (issue, id);

CREATE TABLE sends (
    id INTEGER PRIMARY KEY,
    issue TEXT NOT NULL,
    kind TEXT NOT NULL,
    state TEXT NOT NULL,
    reason TEXT NOT NULL,
    source_digest TEXT NOT NULL,
    send_at BIGINT,
    not_after BIGINT,
    planned BIGINT NOT NULL,
    planned_at BIGINT NOT NULL,
    started_at BIGINT,
    finished_at BIGINT,
    changed_at BIGINT NOT NULL,
    UNIQUE (issue, kind)
);

CREATE TABLE send_languages (
    send_id BIGINT NOT NULL REFERENCES sends (id),
    language TEXT NOT NULL,
    edition_id BIGINT NOT NULL REFERENCES editions (id),
    PRIMARY KEY (send_id, language)
) WITHOUT ROWID;

CREATE TABLE deliveries (
    send_id BIGINT NOT NULL REFERENCES sends (id),
    subscriber_id BIGINT NOT NULL REFERENCES subscribers (id),
    list_id BIGINT NOT NULL REFERENCES lists (id),
    edition_id BIGINT NOT NULL REFERENCES editions (id),
    domain TEXT NOT NULL,
    state TEXT NOT NULL,
    former TEXT,
    doubts BIGINT NOT NULL DEFAULT 0,
    attempts BIGINT NOT NULL DEFAULT 0,
    next_attempt_at BIGINT NOT NULL,
    owner TEXT,
    claimed_at BIGINT,
    changed_at BIGINT NOT NULL,
    code BIGINT,
    enhanced TEXT,
    stage TEXT,
    reply TEXT,
    reason TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (send_id, subscriber_id)
) WITHOUT ROWID;

CREATE INDEX deliveries_due ON deliveries (send_id, next_attempt_at, subscriber_id) WHERE state = 'pending';
CREATE INDEX deliveries_owned ON deliveries (owner) WHERE owner IS NOT NULL;
CREATE INDEX deliveries_doubtful ON deliveries (doubts) WHERE state = 'in_doubt';

CREATE TABLE attempts (
    id INTEGER PRIMARY KEY,
    send_id BIGINT NOT NULL REFERENCES sends (id),
    subscriber_id BIGINT NOT NULL REFERENCES subscribers (id),
    event TEXT NOT NULL,
    at BIGINT NOT NULL,
    owner TEXT,
    code BIGINT,
    enhanced TEXT,
    stage TEXT,
    reply TEXT,
    reason TEXT NOT NULL
);

CREATE INDEX attempts_delivery ON attempts (send_id, subscriber_id);

CREATE TABLE issue_files (
    name TEXT NOT NULL PRIMARY KEY,
    mtime_ns BIGINT NOT NULL,
    size BIGINT NOT NULL,
    send_at BIGINT,
    verdict TEXT NOT NULL
) WITHOUT ROWID;
