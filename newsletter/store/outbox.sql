-- Queries of outbox.py: single mails that wait, cooldowns, addresses that are to change.

-- The cooldown of an address is here: while it lasts, the row stays as it is and nothing is queued.
-- name: queue_mail
INSERT INTO outbox (address_hash, kind, address, wish, queued_at, due_at, attempts, wait, free_at)
VALUES (:hash, :kind, :address, :wish, :now, :now, 0, :next_wait, :free_at)
ON CONFLICT (address_hash, kind) DO UPDATE
   SET address = excluded.address, wish = excluded.wish, queued_at = excluded.queued_at, due_at = excluded.due_at,
       attempts = 0, free_at = excluded.queued_at + outbox.wait,
       wait = CASE WHEN outbox.wait * 2 > :wait_max THEN :wait_max ELSE outbox.wait * 2 END
 WHERE outbox.free_at <= :now

-- name: due_mails
SELECT address_hash, kind, address, wish, queued_at, due_at, attempts
  FROM outbox WHERE due_at <= :now AND address IS NOT NULL ORDER BY due_at LIMIT :limit

-- A mail is taken by moving it: who else saw it due finds it moved.
-- name: take_mail
UPDATE outbox SET due_at = :until, attempts = attempts + 1
 WHERE address_hash = :hash AND kind = :kind AND queued_at = :queued_at AND due_at = :due_at

-- name: put_back_mail
UPDATE outbox SET due_at = :due_at
 WHERE address_hash = :hash AND kind = :kind AND queued_at = :queued_at AND due_at IS NOT NULL

-- name: end_mail
UPDATE outbox SET due_at = NULL, address = NULL, wish = '{}'
 WHERE address_hash = :hash AND kind = :kind AND queued_at = :queued_at

-- name: next_mail_at
SELECT MIN(due_at) FROM outbox WHERE due_at IS NOT NULL

-- name: count_mails
SELECT COUNT(*) FROM outbox WHERE due_at IS NOT NULL

-- An allowance that refills: free_at runs ahead of the clock by what was taken, and never by more than the whole.
-- name: take_allowance
INSERT INTO cooldowns (name, free_at) VALUES (:name, :first)
ON CONFLICT (name) DO UPDATE
   SET free_at = CASE WHEN cooldowns.free_at < :now THEN :first ELSE cooldowns.free_at + :cost END
 WHERE cooldowns.free_at <= :latest

-- name: forget_mails
DELETE FROM outbox WHERE due_at IS NULL AND free_at + wait <= :now

-- name: forget_allowances
DELETE FROM cooldowns WHERE free_at <= :now

-- name: find_address_change
SELECT address, hour, asked_at FROM address_changes WHERE subscriber_id = :subscriber

-- The hour of a wish that was there moves on, so that its token is void.
-- name: save_address_change
INSERT INTO address_changes (subscriber_id, address, hour, asked_at) VALUES (:subscriber, :address, :hour, :now)
ON CONFLICT (subscriber_id) DO UPDATE
   SET address = excluded.address, asked_at = excluded.asked_at,
       hour = CASE WHEN address_changes.hour >= excluded.hour THEN address_changes.hour + 1 ELSE excluded.hour END

-- name: delete_address_change
DELETE FROM address_changes WHERE subscriber_id = :subscriber

-- name: forget_address_changes
DELETE FROM address_changes WHERE hour <= :hour

-- name: erase_mails
DELETE FROM outbox WHERE address_hash = (SELECT address_hash FROM subscribers WHERE id = :subscriber)
