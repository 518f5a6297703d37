-- Queries of openings.py: the editors' veto window, and the first share of a send.

-- name: load_notices
SELECT editor, told_at, accepted, answer FROM notices WHERE send_id = :send ORDER BY told_at, editor

-- name: record_notice
INSERT INTO notices (send_id, editor, told_at, accepted, answer)
VALUES (:send, :editor, :told_at, :accepted, :answer)
ON CONFLICT (send_id, editor) DO UPDATE
   SET told_at = excluded.told_at, accepted = excluded.accepted, answer = excluded.answer
 WHERE notices.accepted = 0

-- name: any_canary
SELECT 1 FROM canaries WHERE send_id = :send LIMIT 1

-- As a line is drawn through a grid: exactly :size of the :planned places, each as far from the next as can be.
-- name: choose_canaries
INSERT INTO canaries (send_id, subscriber_id)
SELECT numbered.send_id, numbered.subscriber_id
  FROM (SELECT send_id, subscriber_id, ROW_NUMBER() OVER (ORDER BY subscriber_id) + :shift AS place
          FROM deliveries WHERE send_id = :send) AS numbered
 WHERE (numbered.place * :size) % :planned < :size

-- name: load_canary
SELECT COUNT(*),
       COALESCE(SUM(CASE WHEN d.state IN ('pending', 'claimed', 'transmitting') AND d.attempts = 0 AND d.doubts = 0
                         THEN 1 ELSE 0 END), 0),
       COALESCE(SUM(CASE WHEN d.state = 'sent' THEN 1 ELSE 0 END), 0),
       COALESCE(SUM(CASE WHEN d.state IN ('failed', 'bounced') OR (d.doubts > 0 AND d.state NOT IN ('sent', 'skipped'))
                         THEN 1 ELSE 0 END), 0),
       COALESCE(SUM(CASE WHEN d.state = 'skipped' THEN 1 ELSE 0 END), 0),
       COALESCE(SUM(CASE WHEN d.owner IS NOT NULL OR (d.state = 'pending' AND d.next_attempt_at <= :now)
                         THEN 1 ELSE 0 END), 0)
  FROM canaries c JOIN deliveries d ON d.send_id = c.send_id AND d.subscriber_id = c.subscriber_id
 WHERE c.send_id = :send

-- name: load_rest
SELECT canary_rested_at FROM openings WHERE send_id = :send

-- name: rest_canary
INSERT INTO openings (send_id, canary_rested_at) VALUES (:send, :now) ON CONFLICT (send_id) DO NOTHING

-- name: send_editions
SELECT DISTINCT edition_id FROM send_variants WHERE send_id = :send ORDER BY edition_id
