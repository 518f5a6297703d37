-- Queries of issues.py: approvals, what they were compiled to, and the cache of issue files.

-- name: insert_approval
INSERT INTO approvals (issue, source_digest, content, approved_by, approved_at, sources)
VALUES (:issue, :source_digest, :content, :approved_by, :approved_at, :sources)

-- name: latest_approval
SELECT issue, source_digest, content, approved_by, approved_at, sources
  FROM approvals WHERE issue = :issue ORDER BY id DESC LIMIT 1

-- name: keep_compiled
INSERT INTO compiled_issues (issue, source_digest, content) VALUES (:issue, :source_digest, :content)
ON CONFLICT (issue) DO UPDATE SET source_digest = excluded.source_digest, content = excluded.content

-- name: find_compiled
SELECT content FROM compiled_issues WHERE issue = :issue AND source_digest = :source_digest

-- name: drop_compiled
DELETE FROM compiled_issues WHERE issue = :issue

-- name: load_issue_files
SELECT name, mtime_ns, size, send_at, verdict FROM issue_files ORDER BY name

-- name: remember_issue_file
INSERT INTO issue_files (name, mtime_ns, size, send_at, verdict) VALUES (:name, :mtime_ns, :size, :send_at, :verdict)
ON CONFLICT (name) DO UPDATE
   SET mtime_ns = excluded.mtime_ns, size = excluded.size, send_at = excluded.send_at, verdict = excluded.verdict

-- name: forget_issue_file
DELETE FROM issue_files WHERE name = :name
