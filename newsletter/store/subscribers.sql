-- Queries of subscribers.py: lists, subscribers, subscriptions, suppressions.

-- name: insert_list
INSERT INTO lists (name, title, created_at) VALUES (:name, :title, :now) ON CONFLICT (name) DO NOTHING

-- name: find_list
SELECT id, name, title FROM lists WHERE name = :name

-- name: rename_list
UPDATE lists SET name = :new, title = :title WHERE name = :name

-- name: load_lists
SELECT id, name, title FROM lists ORDER BY id

-- name: find_person
SELECT s.id, s.address, s.name, s.language, s.time_zone, s.attributes, s.topics, m.state
  FROM subscribers s LEFT JOIN subscriptions m ON m.subscriber_id = s.id AND m.list_id = :list
 WHERE s.address_hash = :hash

-- name: insert_person
INSERT INTO subscribers
       (address_hash, address, domain, name, language, time_zone, attributes, topics, created_at, changed_at)
VALUES (:hash, :address, :domain, :name, :language, :time_zone, :attributes, :topics, :now, :now)
RETURNING id

-- name: update_person
UPDATE subscribers
   SET address = :address, domain = :domain, name = :name, language = :language, time_zone = :time_zone,
       attributes = :attributes, topics = :topics, changed_at = :now
 WHERE id = :subscriber

-- name: insert_subscription
INSERT INTO subscriptions (list_id, subscriber_id, state, origin, joined_at, changed_at)
VALUES (:list, :subscriber, :state, :origin, :now, :now)

-- name: readmit_subscription
UPDATE subscriptions SET state = :state, origin = :origin, joined_at = :now, changed_at = :now
 WHERE list_id = :list AND subscriber_id = :subscriber AND state IN ('unsubscribed', 'removed')

-- name: change_subscription
UPDATE subscriptions SET state = :state, changed_at = :now
 WHERE list_id = :list AND subscriber_id = :subscriber AND state <> :state

-- name: find_subscriber
SELECT s.id, m.list_id, s.address, s.name, s.language, s.time_zone, s.attributes, m.state, m.origin, m.joined_at,
       m.changed_at, s.topics, s.paused_until
  FROM subscribers s JOIN subscriptions m ON m.subscriber_id = s.id
 WHERE s.address_hash = :hash AND m.list_id = :list

-- name: load_subscriber
SELECT s.id, m.list_id, s.address, s.name, s.language, s.time_zone, s.attributes, m.state, m.origin, m.joined_at,
       m.changed_at, s.topics, s.paused_until
  FROM subscriptions m JOIN subscribers s ON s.id = m.subscriber_id
 WHERE m.list_id = :list AND m.subscriber_id = :subscriber

-- name: list_subscribers
SELECT s.id, m.list_id, s.address, s.name, s.language, s.time_zone, s.attributes, m.state, m.origin, m.joined_at,
       m.changed_at, s.topics, s.paused_until
  FROM subscriptions m JOIN subscribers s ON s.id = m.subscriber_id
 WHERE m.list_id = :list AND m.subscriber_id > :after
 ORDER BY m.subscriber_id LIMIT :limit

-- name: list_subscribers_in_state
SELECT s.id, m.list_id, s.address, s.name, s.language, s.time_zone, s.attributes, m.state, m.origin, m.joined_at,
       m.changed_at, s.topics, s.paused_until
  FROM subscriptions m JOIN subscribers s ON s.id = m.subscriber_id
 WHERE m.list_id = :list AND m.subscriber_id > :after AND m.state = :state
 ORDER BY m.subscriber_id LIMIT :limit

-- name: export_subscribers
SELECT s.id, m.list_id, s.address, s.name, s.language, s.time_zone, s.attributes, m.state, m.origin, m.joined_at,
       m.changed_at, s.topics, s.paused_until, x.reason
  FROM subscriptions m JOIN subscribers s ON s.id = m.subscriber_id
  LEFT JOIN suppressions x ON x.address_hash = s.address_hash
 WHERE m.list_id = :list AND m.subscriber_id > :after
 ORDER BY m.subscriber_id LIMIT :limit

-- name: find_person_id
SELECT id FROM subscribers WHERE address_hash = :hash AND address IS NOT NULL

-- name: count_subscribers
SELECT state, COUNT(*) FROM subscriptions WHERE list_id = :list GROUP BY state

-- The hash moves to the suppressions, and chance takes its place.
-- name: suppress_erased
INSERT INTO suppressions (address_hash, reason, since, note)
SELECT address_hash, 'erased', :now, '' FROM subscribers WHERE id = :subscriber AND address IS NOT NULL
ON CONFLICT (address_hash) DO NOTHING

-- name: erase_person
UPDATE subscribers
   SET address_hash = :chance, address = NULL, domain = '', name = '', language = '', time_zone = '',
       attributes = '{}', topics = '', paused_until = 0, changed_at = :now
 WHERE id = :subscriber AND address IS NOT NULL

-- name: end_subscriptions
UPDATE subscriptions SET state = 'removed', changed_at = :now
 WHERE subscriber_id = :subscriber AND list_id IN (SELECT id FROM lists) AND state <> 'removed'

-- The lists and sends are few, so these find the person's rows by their primary key, one look for each send.
-- name: erase_deliveries
UPDATE deliveries SET domain = '', reply = NULL, reason = ''
 WHERE subscriber_id = :subscriber AND send_id IN (SELECT id FROM sends)

-- name: erase_attempts
UPDATE attempts SET reply = NULL, reason = ''
 WHERE subscriber_id = :subscriber AND send_id IN (SELECT id FROM sends)

-- name: erase_consents
UPDATE consents SET source = '', reason = '' WHERE subscriber_id = :subscriber

-- name: erase_note
UPDATE suppressions SET note = ''
 WHERE address_hash = (SELECT address_hash FROM subscribers WHERE id = :subscriber)

-- name: insert_suppression
INSERT INTO suppressions (address_hash, reason, since, note) VALUES (:hash, :reason, :now, :note)
ON CONFLICT (address_hash) DO NOTHING

-- name: find_suppression
SELECT reason, since, note FROM suppressions WHERE address_hash = :hash

-- name: delete_suppression
DELETE FROM suppressions WHERE address_hash = :hash

-- name: count_suppressions
SELECT COUNT(*) FROM suppressions
