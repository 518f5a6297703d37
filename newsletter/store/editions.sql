-- Queries of editions.py.

-- name: insert_edition
INSERT INTO editions (issue, kind, language, variant, revision, format, digest, content, created_at)
VALUES (:issue, :kind, :language, :variant, :revision, :format, :digest, :content, :now)
ON CONFLICT (digest) DO NOTHING

-- name: find_edition
SELECT id FROM editions WHERE digest = :digest

-- name: load_edition
SELECT digest, content FROM editions WHERE id = :edition

-- name: find_editions
SELECT id, digest, content FROM editions WHERE issue = :issue AND kind = :kind ORDER BY id
