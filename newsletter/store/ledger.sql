-- Queries of ledger.py: every move of a delivery. {from} and {to} are put in from delivery.TABLE, see database.py.

-- name: claimable_deliveries
SELECT d.subscriber_id, d.list_id, d.edition_id, d.domain, d.attempts, d.doubts,
       s.address, s.name, s.language, s.attributes,
       CASE WHEN s.address IS NOT NULL AND s.paused_until <= :now AND m.state = 'active' AND x.address_hash IS NULL
            THEN 1 ELSE 0 END
  FROM sends
  JOIN deliveries d ON d.send_id = sends.id
  JOIN subscribers s ON s.id = d.subscriber_id
  LEFT JOIN subscriptions m ON m.list_id = d.list_id AND m.subscriber_id = d.subscriber_id
  LEFT JOIN suppressions x ON x.address_hash = s.address_hash
 WHERE sends.id = :send AND sends.state = 'sending'
   AND d.send_id = :send AND d.state = 'pending' AND d.next_attempt_at <= :now
 ORDER BY d.next_attempt_at, d.subscriber_id LIMIT :limit

-- Rows that somebody else has locked, an operator by hand perhaps, are passed over: they wait for the next claim.
-- name: claimable_deliveries
-- dialect: postgresql
SELECT d.subscriber_id, d.list_id, d.edition_id, d.domain, d.attempts, d.doubts,
       s.address, s.name, s.language, s.attributes,
       CASE WHEN s.address IS NOT NULL AND s.paused_until <= :now AND m.state = 'active' AND x.address_hash IS NULL
            THEN 1 ELSE 0 END
  FROM sends
  JOIN deliveries d ON d.send_id = sends.id
  JOIN subscribers s ON s.id = d.subscriber_id
  LEFT JOIN subscriptions m ON m.list_id = d.list_id AND m.subscriber_id = d.subscriber_id
  LEFT JOIN suppressions x ON x.address_hash = s.address_hash
 WHERE sends.id = :send AND sends.state = 'sending'
   AND d.send_id = :send AND d.state = 'pending' AND d.next_attempt_at <= :now
 ORDER BY d.next_attempt_at, d.subscriber_id LIMIT :limit
   FOR NO KEY UPDATE OF d SKIP LOCKED

-- While a send is in canary, its first share alone. CROSS JOIN keeps SQLite to this order: the share is small.
-- name: claimable_canaries
SELECT d.subscriber_id, d.list_id, d.edition_id, d.domain, d.attempts, d.doubts,
       s.address, s.name, s.language, s.attributes,
       CASE WHEN s.address IS NOT NULL AND s.paused_until <= :now AND m.state = 'active' AND x.address_hash IS NULL
            THEN 1 ELSE 0 END
  FROM sends
  CROSS JOIN canaries c
  CROSS JOIN deliveries d
  JOIN subscribers s ON s.id = d.subscriber_id
  LEFT JOIN subscriptions m ON m.list_id = d.list_id AND m.subscriber_id = d.subscriber_id
  LEFT JOIN suppressions x ON x.address_hash = s.address_hash
 WHERE sends.id = :send AND sends.state = 'canary'
   AND c.send_id = :send AND d.send_id = :send AND d.subscriber_id = c.subscriber_id
   AND d.state = 'pending' AND d.next_attempt_at <= :now
 ORDER BY d.next_attempt_at, d.subscriber_id LIMIT :limit

-- name: claimable_canaries
-- dialect: postgresql
SELECT d.subscriber_id, d.list_id, d.edition_id, d.domain, d.attempts, d.doubts,
       s.address, s.name, s.language, s.attributes,
       CASE WHEN s.address IS NOT NULL AND s.paused_until <= :now AND m.state = 'active' AND x.address_hash IS NULL
            THEN 1 ELSE 0 END
  FROM sends
  CROSS JOIN canaries c
  CROSS JOIN deliveries d
  JOIN subscribers s ON s.id = d.subscriber_id
  LEFT JOIN subscriptions m ON m.list_id = d.list_id AND m.subscriber_id = d.subscriber_id
  LEFT JOIN suppressions x ON x.address_hash = s.address_hash
 WHERE sends.id = :send AND sends.state = 'canary'
   AND c.send_id = :send AND d.send_id = :send AND d.subscriber_id = c.subscriber_id
   AND d.state = 'pending' AND d.next_attempt_at <= :now
 ORDER BY d.next_attempt_at, d.subscriber_id LIMIT :limit
   FOR NO KEY UPDATE OF d SKIP LOCKED

-- name: claim_delivery
-- move: CLAIM
UPDATE deliveries SET state = {to}, owner = :owner, claimed_at = :now, changed_at = :now
 WHERE send_id = :send AND subscriber_id = :subscriber AND state = {from}

-- The check before the final dot: the owner, the subscriber and the send, all in the statement that marks.
-- name: mark_delivery
-- move: TRANSMIT
UPDATE deliveries SET state = {to}, via = :via, claimed_at = :now, changed_at = :now
 WHERE send_id = :send AND subscriber_id = :subscriber AND state = {from} AND owner = :owner
   AND EXISTS (SELECT 1 FROM sends WHERE sends.id = :send AND sends.state IN ({running}))
   AND EXISTS (SELECT 1
                 FROM subscriptions m JOIN subscribers s ON s.id = m.subscriber_id
                WHERE m.list_id = deliveries.list_id AND m.subscriber_id = :subscriber AND m.state = 'active'
                  AND s.address IS NOT NULL AND s.paused_until <= :now
                  AND NOT EXISTS (SELECT 1 FROM suppressions x WHERE x.address_hash = s.address_hash))

-- name: accept_delivery
-- move: ACCEPT
UPDATE deliveries
   SET state = {to}, owner = NULL, via = NULL, attempts = attempts + 1, changed_at = :now, reason = '',
       code = :code, enhanced = :enhanced, stage = :stage, reply = :reply
 WHERE send_id = :send AND subscriber_id = :subscriber AND state = {from} AND owner = :owner

-- name: defer_delivery
-- move: DEFER
UPDATE deliveries
   SET state = {to}, owner = NULL, via = NULL, attempts = attempts + :charge, next_attempt_at = :next,
       changed_at = :now, reason = '', code = :code, enhanced = :enhanced, stage = :stage, reply = :reply
 WHERE send_id = :send AND subscriber_id = :subscriber AND state = {from} AND owner = :owner

-- name: refuse_delivery
-- move: REFUSE
UPDATE deliveries
   SET state = {to}, owner = NULL, via = NULL, attempts = attempts + :charge, changed_at = :now, reason = '',
       code = :code, enhanced = :enhanced, stage = :stage, reply = :reply
 WHERE send_id = :send AND subscriber_id = :subscriber AND state = {from} AND owner = :owner

-- name: lose_claimed
-- move: LOSE from claimed
UPDATE deliveries SET state = {to}, owner = NULL, next_attempt_at = :next, changed_at = :now
 WHERE send_id = :send AND subscriber_id = :subscriber AND state = {from} AND owner = :owner

-- name: lose_transmitting
-- move: LOSE from transmitting
UPDATE deliveries SET state = {to}, owner = NULL, attempts = attempts + 1, doubts = doubts + 1, changed_at = :now
 WHERE send_id = :send AND subscriber_id = :subscriber AND state = {from} AND owner = :owner

-- name: release_delivery
-- move: RELEASE
UPDATE deliveries SET state = {to}, owner = NULL, next_attempt_at = :next, changed_at = :now
 WHERE send_id = :send AND subscriber_id = :subscriber AND state = {from} AND owner = :owner

-- name: skip_claimed
-- move: SKIP from claimed
UPDATE deliveries SET state = {to}, owner = NULL, reason = :reason, changed_at = :now
 WHERE send_id = :send AND subscriber_id = :subscriber AND state = {from} AND owner = :owner

-- name: skip_pending
-- move: SKIP from pending
UPDATE deliveries SET state = {to}, reason = :reason, changed_at = :now
 WHERE send_id = :send AND subscriber_id = :subscriber AND state = {from}

-- name: find_cancelled
SELECT id FROM sends WHERE id = :send AND state = 'cancelled'

-- name: skip_cancelled
-- move: SKIP from pending
UPDATE deliveries SET state = {to}, reason = 'the send was cancelled', changed_at = :now
 WHERE send_id = :send AND state = {from} AND next_attempt_at >= 0
   AND EXISTS (SELECT 1 FROM sends WHERE sends.id = :send AND sends.state = 'cancelled')

-- name: expire_delivery
-- move: EXPIRE
UPDATE deliveries SET state = {to}, reason = :reason, changed_at = :now
 WHERE send_id = :send AND subscriber_id = :subscriber AND state = {from}

-- name: expire_deliveries
-- move: EXPIRE
UPDATE deliveries SET state = {to}, reason = :reason, changed_at = :now
 WHERE send_id = :send AND state = {from} AND next_attempt_at >= 0

-- Those who wait for an older issue and get a newer one too are not tried with the older one any more.
-- name: supersede_deliveries
-- move: EXPIRE
UPDATE deliveries SET state = {to}, reason = :reason, changed_at = :now
 WHERE send_id IN (SELECT older.id
                     FROM sends older JOIN sends newer ON newer.id = :send
                    WHERE older.id <> newer.id AND older.kind = newer.kind AND older.state IN ({running})
                      AND older.started_at <= newer.started_at - :apart)
   AND state = {from} AND next_attempt_at >= 0 AND attempts > 0
   AND EXISTS (SELECT 1 FROM deliveries newer
                WHERE newer.send_id = :send AND newer.subscriber_id = deliveries.subscriber_id)

-- name: list_older_sends
SELECT older.id
  FROM sends older JOIN sends newer ON newer.id = :send
 WHERE older.id <> newer.id AND older.kind = newer.kind AND older.state IN ({running})
   AND older.started_at <= newer.started_at - :apart

-- Here and below, +send_id keeps SQLite from walking the whole send by its primary key: few rows have an owner.
-- name: list_owners
SELECT DISTINCT owner FROM deliveries WHERE +send_id = :send AND owner IS NOT NULL

-- name: release_dead
-- move: RELEASE
UPDATE deliveries SET state = {to}, owner = NULL, next_attempt_at = :now, changed_at = :now
 WHERE +send_id = :send AND owner = :owner AND state = {from}

-- name: doubt_dead
-- move: LOSE from transmitting
UPDATE deliveries SET state = {to}, owner = NULL, attempts = attempts + 1, doubts = doubts + 1, changed_at = :now
 WHERE +send_id = :send AND owner = :owner AND state = {from}

-- name: log_dead
INSERT INTO attempts (send_id, subscriber_id, event, at, owner, reason)
SELECT send_id, subscriber_id, 'lose', :now, owner, 'the run ended after the mark, before the reply was recorded'
  FROM deliveries
 WHERE +send_id = :send AND owner = :owner AND state = 'transmitting'

-- name: resend_doubtful
-- move: RESEND from in_doubt
UPDATE deliveries SET state = {to}, next_attempt_at = :next, changed_at = :now
 WHERE +send_id = :send AND state = {from} AND doubts = 1

-- name: log_doubtful
INSERT INTO attempts (send_id, subscriber_id, event, at, reason)
SELECT send_id, subscriber_id, 'resend', :now, 'sent again because it was in doubt'
  FROM deliveries WHERE +send_id = :send AND state = 'in_doubt' AND doubts = 1

-- name: resend_delivery
-- move: RESEND from in_doubt
UPDATE deliveries SET state = {to}, next_attempt_at = :now, reason = :reason, changed_at = :now
 WHERE send_id = :send AND subscriber_id = :subscriber AND state = {from}

-- name: settle_delivery
-- move: SETTLE
UPDATE deliveries SET state = {to}, reason = :reason, changed_at = :now
 WHERE send_id = :send AND subscriber_id = :subscriber AND state = {from}

-- Of the failed rows, those whose recipient may be mailed: the others keep the reason why they failed.
-- name: resend_failed
-- move: RESEND from failed
UPDATE deliveries SET state = {to}, attempts = 0, next_attempt_at = :now, changed_at = :now
 WHERE send_id = :send AND state = {from}
   AND EXISTS (SELECT 1
                 FROM subscriptions m JOIN subscribers s ON s.id = m.subscriber_id
                WHERE m.list_id = deliveries.list_id AND m.subscriber_id = deliveries.subscriber_id
                  AND m.state = 'active' AND s.address IS NOT NULL AND s.paused_until <= :now
                  AND NOT EXISTS (SELECT 1 FROM suppressions x WHERE x.address_hash = s.address_hash))

-- name: log_failed
INSERT INTO attempts (send_id, subscriber_id, event, at, reason)
SELECT send_id, subscriber_id, 'resend', :now, 'sent again because it had failed'
  FROM deliveries
 WHERE send_id = :send AND state = 'failed'
   AND EXISTS (SELECT 1
                 FROM subscriptions m JOIN subscribers s ON s.id = m.subscriber_id
                WHERE m.list_id = deliveries.list_id AND m.subscriber_id = deliveries.subscriber_id
                  AND m.state = 'active' AND s.address IS NOT NULL AND s.paused_until <= :now
                  AND NOT EXISTS (SELECT 1 FROM suppressions x WHERE x.address_hash = s.address_hash))

-- name: bounce_delivery
-- move: BOUNCE
UPDATE deliveries SET state = {to}, former = {from}, reason = :reason, changed_at = :now
 WHERE send_id = :send AND subscriber_id = :subscriber AND state = {from}

-- name: undo_bounce
-- move: UNDO
UPDATE deliveries SET state = {to}, former = NULL, reason = '', changed_at = :now
 WHERE send_id = :send AND subscriber_id = :subscriber AND state = {from} AND former = {to}

-- name: log_attempt
INSERT INTO attempts (send_id, subscriber_id, event, at, owner, code, enhanced, stage, reply, reason)
VALUES (:send, :subscriber, :event, :now, :owner, :code, :enhanced, :stage, :reply, :reason)

-- name: suppress_recipient
INSERT INTO suppressions (address_hash, reason, since, note)
SELECT address_hash, :reason, :now, :note FROM subscribers WHERE id = :subscriber AND address IS NOT NULL
ON CONFLICT (address_hash) DO NOTHING

-- name: list_deliveries
SELECT d.send_id, d.subscriber_id, d.edition_id, s.address, d.domain, d.state, d.doubts, d.attempts,
       d.next_attempt_at, d.code, d.enhanced, d.reply, d.stage, d.reason, d.changed_at
  FROM deliveries d JOIN subscribers s ON s.id = d.subscriber_id
 WHERE d.send_id = :send AND d.subscriber_id > :after
 ORDER BY d.subscriber_id LIMIT :limit

-- name: list_deliveries_in_state
SELECT d.send_id, d.subscriber_id, d.edition_id, s.address, d.domain, d.state, d.doubts, d.attempts,
       d.next_attempt_at, d.code, d.enhanced, d.reply, d.stage, d.reason, d.changed_at
  FROM deliveries d JOIN subscribers s ON s.id = d.subscriber_id
 WHERE d.send_id = :send AND d.subscriber_id > :after AND d.state = :state
 ORDER BY d.subscriber_id LIMIT :limit

-- name: list_failures
SELECT d.send_id, d.subscriber_id, d.edition_id, s.address, d.domain, d.state, d.doubts, d.attempts,
       d.next_attempt_at, d.code, d.enhanced, d.reply, d.stage, d.reason, d.changed_at
  FROM deliveries d JOIN subscribers s ON s.id = d.subscriber_id
 WHERE d.send_id = :send AND d.subscriber_id > :after
   AND (d.doubts > 0 OR d.state IN ('failed', 'skipped', 'bounced', 'in_doubt'))
 ORDER BY d.subscriber_id LIMIT :limit

-- The sends are few, so this finds the person's rows by their primary key, one look for each send.
-- name: list_person_deliveries
SELECT d.send_id, d.subscriber_id, d.edition_id, s.address, d.domain, d.state, d.doubts, d.attempts,
       d.next_attempt_at, d.code, d.enhanced, d.reply, d.stage, d.reason, d.changed_at
  FROM deliveries d JOIN subscribers s ON s.id = d.subscriber_id
 WHERE d.subscriber_id = :subscriber AND d.send_id IN (SELECT id FROM sends)
 ORDER BY d.send_id

-- name: load_attempts
SELECT event, at, owner, code, enhanced, reply, stage, reason
  FROM attempts WHERE send_id = :send AND subscriber_id = :subscriber ORDER BY id

-- Rows in doubt, or that ever were, with what an operator needs to look for them: the last loss in the log says when and
-- in which run. The two differ in their way alone: few rows are in doubt, and an index holds them.
-- name: list_doubtful
SELECT d.send_id, d.subscriber_id, d.list_id, s.address, d.domain, d.state, d.doubts, d.attempts, e.digest, d.via,
       d.claimed_at, d.changed_at, a.at, a.owner, a.reason
  FROM deliveries d
  JOIN subscribers s ON s.id = d.subscriber_id
  JOIN editions e ON e.id = d.edition_id
  LEFT JOIN attempts a ON a.id = (SELECT MAX(l.id) FROM attempts l
                                   WHERE l.send_id = d.send_id AND l.subscriber_id = d.subscriber_id
                                     AND l.event = 'lose')
 WHERE +d.send_id = :send AND d.state = 'in_doubt' AND d.subscriber_id > :after
 ORDER BY d.subscriber_id LIMIT :limit

-- name: list_ever_doubtful
SELECT d.send_id, d.subscriber_id, d.list_id, s.address, d.domain, d.state, d.doubts, d.attempts, e.digest, d.via,
       d.claimed_at, d.changed_at, a.at, a.owner, a.reason
  FROM deliveries d
  JOIN subscribers s ON s.id = d.subscriber_id
  JOIN editions e ON e.id = d.edition_id
  LEFT JOIN attempts a ON a.id = (SELECT MAX(l.id) FROM attempts l
                                   WHERE l.send_id = d.send_id AND l.subscriber_id = d.subscriber_id
                                     AND l.event = 'lose')
 WHERE d.send_id = :send AND d.doubts > 0 AND d.subscriber_id > :after
 ORDER BY d.subscriber_id LIMIT :limit
