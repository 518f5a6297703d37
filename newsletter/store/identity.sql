-- Queries of identity.py: facts about the store itself.

-- name: load_facts
SELECT key, value FROM meta

-- name: add_fact
INSERT INTO meta (key, value) VALUES (:key, :value) ON CONFLICT (key) DO NOTHING

-- name: change_fact
UPDATE meta SET value = :value WHERE key = :key AND value = :former
