-- Requests that nobody confirmed are found by their age; see ../schema.sql.

CREATE INDEX subscriptions_pending ON subscriptions (changed_at) WHERE state = 'pending';
