-- The topics a person chose, until when their mail rests, and the log of what they consented to; what each column is for
-- stands in ../schema.sql.

ALTER TABLE subscribers ADD COLUMN topics TEXT NOT NULL DEFAULT '';
ALTER TABLE subscribers ADD COLUMN paused_until BIGINT NOT NULL DEFAULT 0;

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

INSERT INTO consents (subscriber_id, list_id, event, at, way, source, reason)
SELECT subscriber_id, list_id, CASE WHEN origin = 'operator' THEN 'added' ELSE 'imported' END, joined_at,
       CASE WHEN origin = 'operator' THEN 'operator' ELSE 'import' END, origin, ''
  FROM subscriptions;

INSERT INTO consents (subscriber_id, list_id, event, at, way, source, reason)
SELECT subscriber_id, list_id, 'removed', changed_at, 'operator', '', '' FROM subscriptions WHERE state = 'removed';

INSERT INTO suppressions (address_hash, reason, since, note)
SELECT address_hash, 'erased', changed_at, '' FROM subscribers WHERE address IS NULL
ON CONFLICT (address_hash) DO NOTHING;
