-- Queries of sends.py: planning, the states of a send, its account.

-- Somebody on an earlier list of the plan is counted there; :earlier holds the numbers of those lists, like ",3,1,".
-- name: count_audience
SELECT s.topics, COUNT(*)
  FROM subscriptions m CROSS JOIN subscribers s
 WHERE m.list_id = :list AND m.state = 'active' AND s.id = m.subscriber_id AND s.address IS NOT NULL
   AND s.paused_until <= :now AND 1 = 1
   AND NOT EXISTS (SELECT 1 FROM suppressions x WHERE x.address_hash = s.address_hash)
   AND NOT EXISTS (SELECT 1 FROM subscriptions e
                    WHERE e.subscriber_id = m.subscriber_id AND e.state = 'active'
                      AND e.list_id IN (SELECT id FROM lists WHERE :earlier LIKE '%,' || id || ',%'))
 GROUP BY s.topics

-- name: insert_send
INSERT INTO sends (issue, kind, state, reason, source_digest, send_at, not_after, planned, planned_at, changed_at)
VALUES (:issue, :kind, :state, '', :source_digest, :send_at, :not_after, 0, :now, :now)
RETURNING id

-- name: list_choices
SELECT DISTINCT s.language, CASE WHEN :topical = 1 THEN s.topics ELSE '' END
  FROM subscriptions m CROSS JOIN subscribers s
 WHERE m.list_id = :list AND m.state = 'active' AND s.id = m.subscriber_id AND s.address IS NOT NULL
   AND s.paused_until <= :now AND 1 = 1
   AND NOT EXISTS (SELECT 1 FROM suppressions x WHERE x.address_hash = s.address_hash)

-- name: insert_variant
INSERT INTO send_variants (send_id, language, topics, edition_id) VALUES (:send, :language, :topics, :edition)
ON CONFLICT (send_id, language, topics) DO NOTHING

-- CROSS JOIN keeps SQLite to this order: the list's subscriptions in the order of their key, which is the order in which
-- the ledger's rows are written; elsewhere it is a plain join.
-- name: freeze_audience
INSERT INTO deliveries (send_id, subscriber_id, list_id, edition_id, domain, state, next_attempt_at, changed_at)
SELECT :send, s.id, m.list_id, l.edition_id, s.domain, :state, :now, :now
  FROM subscriptions m CROSS JOIN subscribers s CROSS JOIN send_variants l
 WHERE m.list_id = :list AND m.state = 'active' AND s.id = m.subscriber_id AND s.address IS NOT NULL
   AND s.paused_until <= :now
   AND l.send_id = :send AND l.language = s.language
   AND l.topics = CASE WHEN :topical = 1 THEN s.topics ELSE '' END AND 1 = 1
   AND NOT EXISTS (SELECT 1 FROM suppressions x WHERE x.address_hash = s.address_hash)
 ORDER BY m.subscriber_id
ON CONFLICT (send_id, subscriber_id) DO NOTHING

-- ON CONFLICT would have PostgreSQL write each row twice into its log; one writer at a time may look first instead.
-- name: freeze_audience
-- dialect: postgresql
INSERT INTO deliveries (send_id, subscriber_id, list_id, edition_id, domain, state, next_attempt_at, changed_at)
SELECT :send, s.id, m.list_id, l.edition_id, s.domain, :state, :now, :now
  FROM subscriptions m CROSS JOIN subscribers s CROSS JOIN send_variants l
 WHERE m.list_id = :list AND m.state = 'active' AND s.id = m.subscriber_id AND s.address IS NOT NULL
   AND s.paused_until <= :now
   AND l.send_id = :send AND l.language = s.language
   AND l.topics = CASE WHEN :topical = 1 THEN s.topics ELSE '' END AND 1 = 1
   AND NOT EXISTS (SELECT 1 FROM suppressions x WHERE x.address_hash = s.address_hash)
   AND NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.send_id = :send AND d.subscriber_id = m.subscriber_id)
 ORDER BY m.subscriber_id

-- Whoever was mailed a send, or may have been, and still wants mail: the audience of its correction.
-- name: count_readers
SELECT COUNT(*),
       COALESCE(SUM(CASE WHEN m.state = 'active' AND s.address IS NOT NULL AND s.paused_until <= :now
                          AND NOT EXISTS (SELECT 1 FROM suppressions x WHERE x.address_hash = s.address_hash)
                         THEN 1 ELSE 0 END), 0)
  FROM deliveries d
  JOIN subscribers s ON s.id = d.subscriber_id
  LEFT JOIN subscriptions m ON m.list_id = d.list_id AND m.subscriber_id = d.subscriber_id
 WHERE d.send_id = :former AND d.state IN ('sent', 'in_doubt')

-- name: freeze_readers
INSERT INTO deliveries (send_id, subscriber_id, list_id, edition_id, domain, state, next_attempt_at, changed_at)
SELECT :send, s.id, d.list_id, :edition, s.domain, :state, :now, :now
  FROM deliveries d
  JOIN subscribers s ON s.id = d.subscriber_id
  JOIN subscriptions m ON m.list_id = d.list_id AND m.subscriber_id = d.subscriber_id
 WHERE d.send_id = :former AND d.state IN ('sent', 'in_doubt')
   AND m.state = 'active' AND s.address IS NOT NULL AND s.paused_until <= :now
   AND NOT EXISTS (SELECT 1 FROM suppressions x WHERE x.address_hash = s.address_hash)
 ORDER BY d.subscriber_id

-- name: set_planned
UPDATE sends SET planned = :planned WHERE id = :send

-- name: find_send
SELECT id, issue, kind, state, reason, source_digest, send_at, not_after, planned, planned_at, started_at, finished_at
  FROM sends WHERE issue = :issue AND kind = :kind

-- name: load_send
SELECT id, issue, kind, state, reason, source_digest, send_at, not_after, planned, planned_at, started_at, finished_at
  FROM sends WHERE id = :send

-- name: load_sends
SELECT id, issue, kind, state, reason, source_digest, send_at, not_after, planned, planned_at, started_at, finished_at
  FROM sends ORDER BY id DESC

-- Neither answer may walk a whole send: next_attempt_at, never below 0, leads SQLite to the index of rows that are due,
-- and +send_id away from the primary key to the index of the few rows with an owner.
-- name: unfinished_sends
SELECT id, issue, kind, state, reason, source_digest, send_at, not_after, planned, planned_at, started_at, finished_at
  FROM sends
 WHERE (state IN ({running}) OR (state = 'frozen' AND (send_at IS NULL OR send_at <= :now)))
   AND (EXISTS (SELECT 1 FROM deliveries d WHERE d.send_id = sends.id AND d.state = 'pending'
                   AND d.next_attempt_at <= :now)
        OR EXISTS (SELECT 1 FROM deliveries d WHERE +d.send_id = sends.id AND d.owner IS NOT NULL)
        OR NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.send_id = sends.id AND d.state = 'pending'
                           AND d.next_attempt_at >= 0))
 ORDER BY id

-- name: next_due_at
SELECT MIN(next_attempt_at) FROM deliveries WHERE send_id = :send AND state = 'pending'

-- name: start_send
-- move: send START
UPDATE sends SET state = {to}, reason = '', started_at = COALESCE(started_at, :now), changed_at = :now
 WHERE id = :send AND state = {from}

-- name: try_send
-- move: send TRY
UPDATE sends SET state = {to}, reason = '', started_at = COALESCE(started_at, :now), changed_at = :now
 WHERE id = :send AND state = {from}

-- name: hold_send
-- move: send HOLD
UPDATE sends SET state = {to}, reason = :reason, changed_at = :now WHERE id = :send AND state = {from}

-- name: lift_send
-- move: send LIFT
UPDATE sends SET state = {to}, reason = '', changed_at = :now WHERE id = :send AND state = {from}

-- name: pause_send
-- move: send PAUSE
UPDATE sends SET state = {to}, reason = :reason, changed_at = :now WHERE id = :send AND state = {from}

-- name: resume_send
-- move: send RESUME
UPDATE sends SET state = {to}, reason = '', changed_at = :now WHERE id = :send AND state = {from}

-- name: cancel_send
-- move: send CANCEL
UPDATE sends SET state = {to}, reason = :reason, finished_at = :now, changed_at = :now
 WHERE id = :send AND state = {from}

-- name: lock_unstarted
SELECT id FROM sends WHERE id = :send AND state IN ('frozen', 'held') AND started_at IS NULL

-- Locked, so that no run can start it before its rows are gone.
-- name: lock_unstarted
-- dialect: postgresql
SELECT id FROM sends WHERE id = :send AND state IN ('frozen', 'held') AND started_at IS NULL FOR UPDATE

-- name: withdraw_attempts
DELETE FROM attempts WHERE send_id = :send

-- name: withdraw_notices
DELETE FROM notices WHERE send_id = :send

-- name: withdraw_canaries
DELETE FROM canaries WHERE send_id = :send

-- name: withdraw_openings
DELETE FROM openings WHERE send_id = :send

-- name: withdraw_deliveries
DELETE FROM deliveries WHERE send_id = :send

-- name: withdraw_variants
DELETE FROM send_variants WHERE send_id = :send

-- name: withdraw_send
DELETE FROM sends WHERE id = :send

-- name: reopen_send
-- move: send REOPEN
UPDATE sends SET state = {to}, reason = '', finished_at = NULL, changed_at = :now WHERE id = :send AND state = {from}

-- name: finish_send
-- move: send FINISH
UPDATE sends SET state = {to}, reason = '', finished_at = :now, changed_at = :now
 WHERE id = :send AND state = {from}
   AND NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.send_id = :send AND d.state = 'pending'
                      AND d.next_attempt_at >= 0)
   AND NOT EXISTS (SELECT 1 FROM deliveries d WHERE +d.send_id = :send AND d.owner IS NOT NULL)

-- The one statement counts both sides of the closing equation, so no commit can come between them.
-- name: account_send
SELECT s.planned, d.state, COUNT(d.subscriber_id)
  FROM sends s LEFT JOIN deliveries d ON d.send_id = s.id
 WHERE s.id = :send GROUP BY s.planned, d.state
