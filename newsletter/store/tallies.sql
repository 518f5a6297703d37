-- Queries of tallies.py: what a report counts. Each reads the rows of one send once, and returns few: groups are counted
-- by the database, and those that strangers can make many (domains, replies, reasons) are bounded. COUNT of a CASE, not
-- SUM: its type is the same on both databases.

-- name: tally_states
SELECT state, COUNT(*), COUNT(CASE WHEN doubts > 0 THEN 1 END), MIN(changed_at), MAX(changed_at),
       COUNT(CASE WHEN changed_at > :since THEN 1 END), COUNT(CASE WHEN next_attempt_at > :now THEN 1 END),
       MAX(next_attempt_at)
  FROM deliveries WHERE send_id = :send GROUP BY state

-- name: best_minute
SELECT MAX(sent)
  FROM (SELECT COUNT(*) AS sent FROM deliveries WHERE send_id = :send AND state = 'sent'
         GROUP BY changed_at / 60000000) AS minutes

-- name: tally_domains
SELECT domain, COUNT(*), COUNT(CASE WHEN state = 'sent' THEN 1 END), COUNT(CASE WHEN state = 'failed' THEN 1 END),
       COUNT(CASE WHEN state = 'skipped' THEN 1 END), COUNT(CASE WHEN state = 'bounced' THEN 1 END),
       COUNT(CASE WHEN state = 'in_doubt' THEN 1 END),
       COUNT(CASE WHEN state IN ('pending', 'claimed', 'transmitting') THEN 1 END)
  FROM deliveries WHERE send_id = :send GROUP BY domain ORDER BY COUNT(*) DESC, domain LIMIT :limit

-- name: list_editions
SELECT e.id, e.language, e.variant, e.revision, e.digest
  FROM editions e
 WHERE e.id IN (SELECT edition_id FROM send_variants WHERE send_id = :send)
 ORDER BY e.id

-- name: tally_editions
SELECT e.id, e.language, e.variant, e.revision, e.digest, t.planned, t.sent, t.failed, t.skipped, t.bounced, t.in_doubt,
       t.open
  FROM (SELECT edition_id, COUNT(*) AS planned, COUNT(CASE WHEN state = 'sent' THEN 1 END) AS sent,
               COUNT(CASE WHEN state = 'failed' THEN 1 END) AS failed,
               COUNT(CASE WHEN state = 'skipped' THEN 1 END) AS skipped,
               COUNT(CASE WHEN state = 'bounced' THEN 1 END) AS bounced,
               COUNT(CASE WHEN state = 'in_doubt' THEN 1 END) AS in_doubt,
               COUNT(CASE WHEN state IN ('pending', 'claimed', 'transmitting') THEN 1 END) AS open
          FROM deliveries WHERE send_id = :send GROUP BY edition_id) AS t
  JOIN editions e ON e.id = t.edition_id
 ORDER BY t.planned DESC, e.id

-- A row's last reply stands in it; that of a row which waits says why it waits. Acceptances are left out: nearly all rows
-- are, and the account counts them.
-- name: tally_replies
SELECT code, enhanced, stage, COUNT(*), COUNT(CASE WHEN state IN ('pending', 'claimed', 'transmitting') THEN 1 END),
       MAX(reply)
  FROM deliveries WHERE send_id = :send AND state <> 'sent' AND code >= 300
 GROUP BY code, enhanced, stage ORDER BY COUNT(*) DESC, code, enhanced, stage LIMIT :limit

-- name: tally_reasons
SELECT state, reason, COUNT(*)
  FROM deliveries WHERE send_id = :send AND reason <> '' AND state IN ('failed', 'skipped', 'bounced')
 GROUP BY state, reason ORDER BY COUNT(*) DESC, state, reason LIMIT :limit

-- Whether a failed row's recipient may be mailed is asked as the mark asks it (ledger.sql).
-- name: tally_failed
SELECT d.code, d.enhanced, d.stage, COUNT(*),
       COUNT(CASE WHEN s.address IS NOT NULL AND s.paused_until <= :now AND m.state = 'active' AND x.address_hash IS NULL
                  THEN 1 END),
       MAX(d.reply)
  FROM deliveries d
  JOIN subscribers s ON s.id = d.subscriber_id
  LEFT JOIN subscriptions m ON m.list_id = d.list_id AND m.subscriber_id = d.subscriber_id
  LEFT JOIN suppressions x ON x.address_hash = s.address_hash
 WHERE d.send_id = :send AND d.state = 'failed'
 GROUP BY d.code, d.enhanced, d.stage ORDER BY COUNT(*) DESC, d.code, d.enhanced, d.stage

-- The log is walked backwards until it has enough: +send_id keeps SQLite from sorting all of the send's entries.
-- name: latest_troubles
SELECT a.at, a.event, s.address, d.domain, a.code, a.enhanced, a.reply, a.stage, a.reason
  FROM attempts a
  JOIN deliveries d ON d.send_id = a.send_id AND d.subscriber_id = a.subscriber_id
  JOIN subscribers s ON s.id = a.subscriber_id
 WHERE +a.send_id = :send AND a.event IN ('defer', 'refuse', 'lose', 'bounce')
 ORDER BY a.id DESC LIMIT :limit
