-- Queries of choices.py: what subscribers choose, and the log of consent.

-- name: log_consent
INSERT INTO consents (subscriber_id, list_id, event, at, way, source, reason)
VALUES (:subscriber, :list, :event, :now, :way, :source, :reason)

-- name: load_consents
SELECT event, at, list_id, way, source, reason FROM consents WHERE subscriber_id = :subscriber ORDER BY id

-- name: confirm_subscription
UPDATE subscriptions SET state = 'active', changed_at = :now
 WHERE list_id = :list AND subscriber_id = :subscriber AND state = 'pending'
   AND EXISTS (SELECT 1 FROM subscribers s WHERE s.id = :subscriber AND s.address IS NOT NULL)

-- name: lift_erasure
DELETE FROM suppressions
 WHERE reason = 'erased' AND address_hash = (SELECT address_hash FROM subscribers WHERE id = :subscriber)

-- name: join_list
INSERT INTO subscriptions (list_id, subscriber_id, state, origin, joined_at, changed_at)
SELECT l.id, s.id, 'active', :origin, :now, :now
  FROM subscribers s CROSS JOIN lists l
 WHERE s.id = :subscriber AND s.address IS NOT NULL AND l.id = :list
ON CONFLICT (list_id, subscriber_id) DO UPDATE
   SET state = 'active', origin = excluded.origin, joined_at = excluded.joined_at, changed_at = excluded.changed_at
 WHERE subscriptions.state <> 'active'

-- name: leave_list
UPDATE subscriptions SET state = 'unsubscribed', changed_at = :now
 WHERE list_id = :list AND subscriber_id = :subscriber AND state IN ('pending', 'active')

-- The lists are few, so this finds the person's rows by their primary key, one look for each list.
-- name: load_subscriptions
SELECT s.id, m.list_id, s.address, s.name, s.language, s.time_zone, s.attributes, m.state, m.origin, m.joined_at,
       m.changed_at, s.topics, s.paused_until
  FROM subscriptions m JOIN subscribers s ON s.id = m.subscriber_id
 WHERE m.subscriber_id = :subscriber AND m.list_id IN (SELECT id FROM lists)
 ORDER BY m.list_id

-- name: change_preferences
UPDATE subscribers
   SET name = COALESCE(:name, name), language = COALESCE(:language, language),
       time_zone = COALESCE(:time_zone, time_zone), topics = COALESCE(:topics, topics), changed_at = :now
 WHERE id = :subscriber AND address IS NOT NULL
   AND (COALESCE(:name, name) <> name OR COALESCE(:language, language) <> language
        OR COALESCE(:time_zone, time_zone) <> time_zone OR COALESCE(:topics, topics) <> topics)

-- name: pause_subscriber
UPDATE subscribers SET paused_until = :until, changed_at = :now
 WHERE id = :subscriber AND address IS NOT NULL AND paused_until <> :until

-- name: resume_subscriber
UPDATE subscribers SET paused_until = 0, changed_at = :now WHERE id = :subscriber AND paused_until > :now

-- Why somebody left may be said after they did, once.
-- name: add_reason
UPDATE consents SET reason = :reason
 WHERE reason = '' AND id = (SELECT MAX(id) FROM consents
                              WHERE subscriber_id = :subscriber AND event = 'left'
                                AND (:list = 0 OR list_id = :list))

-- name: find_other
SELECT id FROM subscribers WHERE address_hash = :hash AND id <> :subscriber

-- The former address is as one that was erased: no import brings it back, its owner's own confirmed wish does.
-- name: suppress_former
INSERT INTO suppressions (address_hash, reason, since, note)
SELECT address_hash, 'erased', :now, 'moved' FROM subscribers WHERE id = :subscriber AND address IS NOT NULL
ON CONFLICT (address_hash) DO NOTHING

-- name: change_address
UPDATE subscribers SET address = :address, address_hash = :hash, domain = :domain, changed_at = :now
 WHERE id = :subscriber AND address IS NOT NULL

-- name: renew_request
UPDATE subscriptions SET changed_at = :now
 WHERE list_id = :list AND subscriber_id = :subscriber AND state = 'pending' AND changed_at < :now

-- What was asked for and not confirmed since. Who came by an import as pending did not ask; who had left before they
-- asked is to stay somebody who left.
-- name: stale_requests
SELECT g.list_id, g.subscriber_id, g.has_left
  FROM (SELECT m.list_id, m.subscriber_id,
               (SELECT COUNT(*) FROM consents c WHERE c.subscriber_id = m.subscriber_id AND c.list_id = m.list_id
                   AND c.event IN ('left', 'removed')) AS has_left,
               (SELECT COUNT(*) FROM consents c WHERE c.subscriber_id = m.subscriber_id AND c.list_id = m.list_id
                   AND c.way IN ('import', 'operator')) AS was_put
          FROM subscriptions m
         WHERE m.state = 'pending' AND m.changed_at < :before) g
 WHERE g.has_left > 0 OR g.was_put = 0

-- name: return_request
UPDATE subscriptions SET state = 'unsubscribed', changed_at = :now
 WHERE list_id = :list AND subscriber_id = :subscriber AND state = 'pending'

-- name: delete_request
DELETE FROM subscriptions WHERE list_id = :list AND subscriber_id = :subscriber AND state = 'pending'

-- name: delete_change_of_nobody
DELETE FROM address_changes
 WHERE subscriber_id = :subscriber
   AND NOT EXISTS (SELECT 1 FROM subscriptions m
                    WHERE m.subscriber_id = :subscriber AND m.list_id IN (SELECT id FROM lists))

-- The lists and sends are few, so these find the person's rows by their primary key.
-- name: delete_consents_of_nobody
DELETE FROM consents
 WHERE subscriber_id = :subscriber
   AND NOT EXISTS (SELECT 1 FROM subscriptions m
                    WHERE m.subscriber_id = :subscriber AND m.list_id IN (SELECT id FROM lists))
   AND NOT EXISTS (SELECT 1 FROM deliveries d
                    WHERE d.subscriber_id = :subscriber AND d.send_id IN (SELECT id FROM sends))
   AND NOT EXISTS (SELECT 1 FROM bounces b WHERE b.subscriber_id = :subscriber)

-- An empty row stays, as after erasing: another person must never get the number that old tokens name.
-- name: empty_nobody
UPDATE subscribers
   SET address_hash = :chance, address = NULL, domain = '', name = '', language = '', time_zone = '',
       attributes = '{}', topics = '', paused_until = 0, changed_at = :now
 WHERE id = :subscriber AND address IS NOT NULL
   AND NOT EXISTS (SELECT 1 FROM consents c WHERE c.subscriber_id = :subscriber)
   AND NOT EXISTS (SELECT 1 FROM subscriptions m
                    WHERE m.subscriber_id = :subscriber AND m.list_id IN (SELECT id FROM lists))
   AND NOT EXISTS (SELECT 1 FROM deliveries d
                    WHERE d.subscriber_id = :subscriber AND d.send_id IN (SELECT id FROM sends))
   AND NOT EXISTS (SELECT 1 FROM bounces b WHERE b.subscriber_id = :subscriber)
