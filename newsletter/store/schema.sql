-- The whole schema, for people to read: what the migrations add up to (tests/contract/test_schema.py says so).
-- New stores run the migrations; nothing runs this file.
--
-- Instants are microseconds since 1970 in UTC. States are words of delivery.py and records.py. An empty text means
-- that nothing is known. INTEGER PRIMARY KEY numbers rows; BLOB holds bytes; WITHOUT ROWID keeps rows in key order.

-- Facts about the store itself: schema (number of the last migration), store_id, host_id and epoch (which tell it from
-- its copies), address_key (fingerprint of the key behind every address_hash).
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

-- One row for each person ever seen. Erasing a person empties every column but the instants, and puts chance in place of
-- the hash, which then stands in suppressions alone: the row stays, so that no count changes. address IS NULL means erased.
-- topics are those the person chose, as topics.py joins them, '' where they chose none and get all; until paused_until
-- nothing is mailed to them.
CREATE TABLE subscribers (
    id INTEGER PRIMARY KEY,
    address_hash BLOB NOT NULL UNIQUE,
    address TEXT,
    domain TEXT NOT NULL,
    name TEXT NOT NULL,
    language TEXT NOT NULL,
    time_zone TEXT NOT NULL,
    attributes TEXT NOT NULL,  -- a JSON object of texts
    created_at BIGINT NOT NULL,
    changed_at BIGINT NOT NULL,
    topics TEXT NOT NULL DEFAULT '',
    paused_until BIGINT NOT NULL DEFAULT 0
);

-- Where a person stands on one list: pending, active, unsubscribed, removed; origin says where the consent came from.
CREATE TABLE subscriptions (
    list_id BIGINT NOT NULL REFERENCES lists (id),
    subscriber_id BIGINT NOT NULL REFERENCES subscribers (id),
    state TEXT NOT NULL,
    origin TEXT NOT NULL,
    joined_at BIGINT NOT NULL,
    changed_at BIGINT NOT NULL,
    PRIMARY KEY (list_id, subscriber_id)
) WITHOUT ROWID;

CREATE INDEX subscriptions_pending ON subscriptions (changed_at) WHERE state = 'pending';

-- The log of consent: what each person asked for, when, by which way (form, import, …) and from where (file and line,
-- masked network address, …); rows are only added. list_id is NULL where it concerns the person and not one list.
-- Erasing a person empties source and reason.
CREATE TABLE consents (
    id INTEGER PRIMARY KEY,
    subscriber_id BIGINT NOT NULL REFERENCES subscribers (id),
    list_id BIGINT REFERENCES lists (id),
    event TEXT NOT NULL,
    at BIGINT NOT NULL,
    way TEXT NOT NULL,
    source TEXT NOT NULL,
    reason TEXT NOT NULL
);

CREATE INDEX consents_subscriber ON consents (subscriber_id);

-- One batch of an import on its way into subscribers, subscriptions and consents, so that a few statements take in
-- thousands of people; its columns are theirs, number counts the batch. Empty but inside the transaction of a batch.
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

-- Addresses never to mail, whether or not a subscriber has them; they outlive subscription and erasure.
CREATE TABLE suppressions (
    address_hash BLOB NOT NULL PRIMARY KEY,
    reason TEXT NOT NULL,
    since BIGINT NOT NULL,
    note TEXT NOT NULL
) WITHOUT ROWID;

-- Frozen editions, never changed; content is the JSON of edition.py, whose number of form is in format.
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

-- Who approved which source digest, and the text of the issue file at that moment; rows are only added. sources is a
-- JSON object that says what else the mail was made of, or empty in old rows.
CREATE TABLE approvals (
    id INTEGER PRIMARY KEY,
    issue TEXT NOT NULL,
    source_digest TEXT NOT NULL,
    content TEXT NOT NULL,
    approved_by TEXT NOT NULL,
    approved_at BIGINT NOT NULL,
    sources TEXT NOT NULL DEFAULT ''
);

CREATE INDEX approvals_issue ON approvals (issue, id);

-- What an issue was compiled to when it was approved the last time, until it is frozen: a JSON object (precompiled.py).
CREATE TABLE compiled_issues (
    issue TEXT NOT NULL PRIMARY KEY,
    source_digest TEXT NOT NULL,
    content TEXT NOT NULL
) WITHOUT ROWID;

-- One mailing of an issue; planned is the size of its audience when it was frozen.
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

-- Which edition a subscriber of each language and choice of topics gets, as it was decided when the audience was frozen.
-- topics are a person's as subscribers holds them, '' for all where no section of the issue has topics.
CREATE TABLE send_variants (
    send_id BIGINT NOT NULL REFERENCES sends (id),
    language TEXT NOT NULL,
    topics TEXT NOT NULL,
    edition_id BIGINT NOT NULL REFERENCES editions (id),
    PRIMARY KEY (send_id, language, topics)
) WITHOUT ROWID;

-- The ledger: one row for each recipient of a send. It holds no address: the domain is what reports need. doubts counts
-- how often the row was in doubt and is never lowered. former is the state before a bounce. owner names the run that has
-- the row while it is claimed or transmitting, and is NULL otherwise; claimed_at is when it was claimed, and after the
-- mark, when it was marked. code, enhanced, stage and reply are the last reply;
-- reason says why where there is none. via names the relay and the connection that got the last mark, until an answer is
-- recorded: a row in doubt can then be looked for in the right log.
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
    via TEXT,
    PRIMARY KEY (send_id, subscriber_id)
) WITHOUT ROWID;

-- These three hold only rows that wait, so they shrink to nothing as a send goes on.
CREATE INDEX deliveries_due ON deliveries (send_id, next_attempt_at, subscriber_id) WHERE state = 'pending';
CREATE INDEX deliveries_owned ON deliveries (owner) WHERE owner IS NOT NULL;
CREATE INDEX deliveries_doubtful ON deliveries (doubts) WHERE state = 'in_doubt';

-- The log: each event of a row but the plain acceptance on its first try; rows are only added.
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

-- What the front matter of an issue file said, good until its time or size changes: cron reads changed files only.
CREATE TABLE issue_files (
    name TEXT NOT NULL PRIMARY KEY,
    mtime_ns BIGINT NOT NULL,
    size BIGINT NOT NULL,
    send_at BIGINT,
    verdict TEXT NOT NULL
) WITHOUT ROWID;

-- The token buckets by which a send keeps to the rates of a transport and of recipient domains (pace.py), so that a run
-- that starts anew does not burst. full_at is when the bucket is full again: all that needs keeping. One that is full has
-- no row.
CREATE TABLE buckets (
    name TEXT NOT NULL PRIMARY KEY,
    full_at BIGINT NOT NULL
) WITHOUT ROWID;

-- How a send began under cron (opening.py): when every row of its first share had been tried, so that the wait began.
CREATE TABLE openings (
    send_id BIGINT NOT NULL PRIMARY KEY REFERENCES sends (id),
    canary_rested_at BIGINT
) WITHOUT ROWID;

-- Which editors were mailed what was frozen before it goes out; accepted is 0 where the relay refused one for good.
CREATE TABLE notices (
    send_id BIGINT NOT NULL REFERENCES sends (id),
    editor TEXT NOT NULL,
    told_at BIGINT NOT NULL,
    accepted BIGINT NOT NULL,
    answer TEXT NOT NULL,
    PRIMARY KEY (send_id, editor)
) WITHOUT ROWID;

-- The first share of a send: the rows that alone may be claimed while it is in canary.
CREATE TABLE canaries (
    send_id BIGINT NOT NULL REFERENCES sends (id),
    subscriber_id BIGINT NOT NULL REFERENCES subscribers (id),
    PRIMARY KEY (send_id, subscriber_id)
) WITHOUT ROWID;

-- Single mails that wait for their turn: one row for each address and kind of mail, so that the cooldown of an address
-- is part of the upsert. wish is a JSON object with what was asked. due_at is NULL once the mail is done with; address
-- and wish are empty then, and the row stays until free_at, from which on the same address may ask again. wait is what
-- the next cooldown lasts, in microseconds; it doubles each time.
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

-- How much each client, and all of them together, asked of late: free_at is when the name has its whole allowance again.
-- A client's name is a keyed hash of its network address. One that is free has no need of a row.
CREATE TABLE cooldowns (
    name TEXT NOT NULL PRIMARY KEY,
    free_at BIGINT NOT NULL
) WITHOUT ROWID;

-- The address that a subscriber wants instead, until its own mailbox has confirmed it; hour is the token's, and no two
-- wishes of one subscriber have the same.
CREATE TABLE address_changes (
    subscriber_id BIGINT NOT NULL PRIMARY KEY REFERENCES subscribers (id),
    address TEXT NOT NULL,
    hour BIGINT NOT NULL,
    asked_at BIGINT NOT NULL
) WITHOUT ROWID;

-- The log of what came back, one row for each bounce or complaint that named a subscriber by a signed token. send_id is
-- NULL where no row of the ledger was named. weight is hard, soft, policy or complaint; fate is what became of it: counted,
-- kept (its row is open), dropped (its row closed otherwise), undone; suppressed is 1 where it was this one that ended mail
-- to the address. source is the Message-ID, provider or operator that it came from; reply holds no address.
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

-- The SHA-256 of each mail that was read from the bounce mailbox: reading it again changes nothing.
CREATE TABLE bounce_mails (
    digest BLOB NOT NULL PRIMARY KEY,
    read_at BIGINT NOT NULL
) WITHOUT ROWID;

-- The feeds that fetching asks, and their health. state is active, paused or retired (410: its publisher took it down); etag
-- and last_modified are what its server gave with the content that was read last, at read_at; succeeded_at counts an
-- unchanged feed as well. error says in words what went wrong last, '' where nothing did, failures how often in a row.
-- tags are parted by line ends. Until next_fetch_at it is left alone.
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

-- The pool: what the feeds held. guid is the entry's identity within its feed, url_key what its page has in common with
-- other ways to write its address. source is the entry's own where its feed gathers several, '' for the feed's. listed_at
-- is when the feed held it last: an entry that a feed still lists is not pruned, lest it come back as new.
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

-- Where an address led that was asked for an article, a shortened one say, by its key as in entries: a past issue may have
-- had either.
CREATE TABLE redirects (
    url_key TEXT NOT NULL PRIMARY KEY,
    target TEXT NOT NULL
) WITHOUT ROWID;
