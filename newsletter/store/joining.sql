-- Queries of joining.py: people are put on a list. Those of single persons stand in subscribers.sql.

-- name: stage_person
INSERT INTO staged (number, address_hash, address, domain, name, language, time_zone, attributes, topics, paused_until,
                    state, origin, joined_at, event, way, source, reason)
VALUES (:number, :hash, :address, :domain, :name, :language, :time_zone, :attributes, :topics, :paused_until,
        :state, :origin, :joined_at, :event, :way, :source, :reason)

-- Who of the batch is in the store, or must not be mailed.
-- name: known_staged
SELECT g.number, x.reason, s.id, s.address, s.name, s.language, s.time_zone, s.attributes, s.topics, m.state
  FROM staged g
  LEFT JOIN suppressions x ON x.address_hash = g.address_hash
  LEFT JOIN subscribers s ON s.address_hash = g.address_hash
  LEFT JOIN subscriptions m ON m.list_id = :list AND m.subscriber_id = s.id
 WHERE x.address_hash IS NOT NULL OR s.id IS NOT NULL
 ORDER BY g.number

-- name: unstage_person
DELETE FROM staged WHERE number = :number

-- name: insert_staged_people
INSERT INTO subscribers (address_hash, address, domain, name, language, time_zone, attributes, topics, paused_until,
                         created_at, changed_at)
SELECT address_hash, address, domain, name, language, time_zone, attributes, topics, paused_until, :now, :now
  FROM staged ORDER BY number

-- name: insert_staged_subscriptions
INSERT INTO subscriptions (list_id, subscriber_id, state, origin, joined_at, changed_at)
SELECT :list, s.id, g.state, g.origin, g.joined_at, :now
  FROM staged g CROSS JOIN subscribers s
 WHERE s.address_hash = g.address_hash ORDER BY g.number

-- name: log_staged_consents
INSERT INTO consents (subscriber_id, list_id, event, at, way, source, reason)
SELECT s.id, :list, g.event, :now, g.way, g.source, g.reason
  FROM staged g CROSS JOIN subscribers s
 WHERE s.address_hash = g.address_hash ORDER BY g.number

-- name: clear_staged
DELETE FROM staged
