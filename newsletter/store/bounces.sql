-- Queries of bounces.py: what came back, and which mails were read.

-- name: insert_bounce_mail
INSERT INTO bounce_mails (digest, read_at) VALUES (:digest, :now) ON CONFLICT (digest) DO NOTHING

-- name: insert_bounce
INSERT INTO bounces (subscriber_id, send_id, weight, fate, suppressed, reason, status, code, reply, source, at)
VALUES (:subscriber, :send, :weight, :fate, :suppressed, :reason, :status, :code, :reply, :source, :now)
RETURNING id

-- name: delivery_state
SELECT state FROM deliveries WHERE send_id = :send AND subscriber_id = :subscriber

-- name: set_bounce_fate
UPDATE bounces SET fate = :fate WHERE id = :bounce AND fate <> :fate

-- name: set_bounce_suppressed
UPDATE bounces SET suppressed = 1 WHERE id = :bounce

-- name: suppress_bounced
INSERT INTO suppressions (address_hash, reason, since, note)
SELECT address_hash, :reason, :now, :note FROM subscribers WHERE id = :subscriber AND address IS NOT NULL
ON CONFLICT (address_hash) DO NOTHING

-- name: lift_bounced
DELETE FROM suppressions
 WHERE reason IN ('hard bounce', 'soft bounces', 'complaint')
   AND address_hash = (SELECT address_hash FROM subscribers WHERE id = :subscriber)

-- name: kept_bounces
SELECT b.id, b.subscriber_id, b.send_id, b.weight, b.fate, b.suppressed, b.reason, b.status, b.code, b.reply, b.source,
       b.at, s.address, d.issue
  FROM bounces b JOIN subscribers s ON s.id = b.subscriber_id LEFT JOIN sends d ON d.id = b.send_id
 WHERE b.fate = 'kept' ORDER BY b.id

-- name: person_bounces
SELECT b.id, b.subscriber_id, b.send_id, b.weight, b.fate, b.suppressed, b.reason, b.status, b.code, b.reply, b.source,
       b.at, s.address, d.issue
  FROM bounces b JOIN subscribers s ON s.id = b.subscriber_id LEFT JOIN sends d ON d.id = b.send_id
 WHERE b.subscriber_id = :subscriber AND b.id < :before ORDER BY b.id DESC LIMIT :limit

-- name: all_bounces
SELECT b.id, b.subscriber_id, b.send_id, b.weight, b.fate, b.suppressed, b.reason, b.status, b.code, b.reply, b.source,
       b.at, s.address, d.issue
  FROM bounces b JOIN subscribers s ON s.id = b.subscriber_id LEFT JOIN sends d ON d.id = b.send_id
 WHERE b.id < :before ORDER BY b.id DESC LIMIT :limit

-- name: send_bounces
SELECT b.id, b.subscriber_id, b.send_id, b.weight, b.fate, b.suppressed, b.reason, b.status, b.code, b.reply, b.source,
       b.at, s.address, d.issue
  FROM bounces b JOIN subscribers s ON s.id = b.subscriber_id LEFT JOIN sends d ON d.id = b.send_id
 WHERE b.send_id = :send AND b.id < :before ORDER BY b.id DESC LIMIT :limit

-- The sends are few, so this finds the person's rows by their primary key, one look for each send, the newest first. A
-- row that was accepted and has no soft bounce that counts ends a run of them.
-- name: soft_run
SELECT (SELECT MIN(b.at) FROM bounces b
         WHERE b.subscriber_id = :subscriber AND b.send_id = m.id AND b.weight = 'soft' AND b.fate <> 'undone'),
       (SELECT d.state FROM deliveries d WHERE d.send_id = m.id AND d.subscriber_id = :subscriber)
  FROM sends m
 WHERE m.id <= :send AND m.id IN (SELECT d.send_id FROM deliveries d
                                   WHERE d.subscriber_id = :subscriber AND d.send_id IN (SELECT id FROM sends))
 ORDER BY m.id DESC LIMIT :limit

-- name: erase_bounces
UPDATE bounces SET reply = '', source = '' WHERE subscriber_id = :subscriber
