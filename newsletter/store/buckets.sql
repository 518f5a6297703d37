-- Queries of buckets.py.

-- name: load_buckets
SELECT name, full_at FROM buckets WHERE full_at > :now ORDER BY name

-- name: save_bucket
INSERT INTO buckets (name, full_at) VALUES (:name, :full_at)
ON CONFLICT (name) DO UPDATE SET full_at = excluded.full_at

-- name: forget_full_buckets
DELETE FROM buckets WHERE full_at <= :now
