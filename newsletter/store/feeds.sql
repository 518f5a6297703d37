-- Queries of feeds.py: the feeds, their health, and the pool of their entries.

-- name: insert_feed
INSERT INTO feeds (url, title, site, language, weight, tags, state, etag, last_modified, added_at, error, failures,
                   next_fetch_at)
VALUES (:url, :title, :site, '', :weight, :tags, 'active', '', '', :now, '', 0, :now)
ON CONFLICT (url) DO NOTHING

-- name: load_feeds
SELECT id, url, title, site, language, weight, tags, state, etag, last_modified, added_at, asked_at, succeeded_at,
       read_at, error, failures, next_fetch_at
  FROM feeds ORDER BY id

-- name: delete_feed_entries
DELETE FROM entries WHERE feed_id = :feed

-- name: delete_feed
DELETE FROM feeds WHERE id = :feed

-- name: set_feed_state
UPDATE feeds SET state = :state, next_fetch_at = :now, failures = 0 WHERE id = :feed AND state <> :state

-- name: change_feed
UPDATE feeds SET title = :title, weight = :weight, tags = :tags WHERE id = :feed

-- name: record_feed_read
UPDATE feeds SET etag = :etag, last_modified = :last_modified, asked_at = :now, succeeded_at = :now, read_at = :now,
       title = CASE WHEN title = '' THEN :title ELSE title END,
       site = CASE WHEN :site = '' THEN site ELSE :site END, language = :language,
       error = '', failures = 0, next_fetch_at = :next
 WHERE id = :feed

-- name: record_feed_unchanged
UPDATE feeds SET asked_at = :now, succeeded_at = :now, error = '', failures = 0, next_fetch_at = :next WHERE id = :feed

-- name: record_feed_failure
UPDATE feeds SET asked_at = :now, error = :error, failures = failures + 1, next_fetch_at = :next WHERE id = :feed

-- name: retire_feed
UPDATE feeds SET asked_at = :now, error = :error, state = 'retired' WHERE id = :feed

-- name: move_feed
UPDATE feeds SET url = :url WHERE id = :feed AND NOT EXISTS (SELECT 1 FROM feeds f WHERE f.url = :url)

-- name: insert_entry
INSERT INTO entries (feed_id, guid, url, url_key, source, title, summary, author, image, language, tags, published_at,
                     seen_at, listed_at)
VALUES (:feed, :guid, :url, :url_key, :source, :title, :summary, :author, :image, :language, :tags, :published, :now, :now)
ON CONFLICT (feed_id, guid) DO NOTHING

-- name: update_entry
UPDATE entries SET url = :url, url_key = :url_key, source = :source, title = :title, summary = :summary,
       author = :author, image = :image, language = :language, tags = :tags
 WHERE feed_id = :feed AND guid = :guid
   AND (title <> :title OR summary <> :summary OR url <> :url OR image <> :image OR author <> :author
        OR source <> :source OR language <> :language OR tags <> :tags)

-- name: list_entry
UPDATE entries SET listed_at = :now WHERE feed_id = :feed AND guid = :guid

-- name: pool_entries
SELECT e.id, e.url, e.source, e.title, e.summary, e.author, e.image, e.language, e.tags, e.published_at, f.url, f.title,
       f.language, f.weight, f.tags
  FROM entries e JOIN feeds f ON f.id = e.feed_id
 WHERE e.published_at >= :since AND e.published_at <= :until
 ORDER BY e.published_at, e.id

-- name: page_entries
SELECT e.id, e.url, e.source, e.title, e.summary, e.author, e.image, e.language, e.tags, e.published_at, f.url, f.title,
       f.language, f.weight, f.tags
  FROM entries e JOIN feeds f ON f.id = e.feed_id
 WHERE e.url_key = :url_key
 ORDER BY f.weight DESC, e.id

-- name: put_redirect
INSERT INTO redirects (url_key, target) VALUES (:url_key, :target)
ON CONFLICT (url_key) DO UPDATE SET target = excluded.target

-- name: load_redirects
SELECT url_key, target FROM redirects

-- name: count_entries
SELECT feed_id, COUNT(*), SUM(CASE WHEN published_at >= :since THEN 1 ELSE 0 END) FROM entries GROUP BY feed_id

-- What a feed still listed when it was read last stays, however old: it would come back as new.
-- name: prune_entries
DELETE FROM entries
 WHERE seen_at < :before AND listed_at < :before
   AND listed_at < (SELECT COALESCE(f.read_at, 0) FROM feeds f WHERE f.id = entries.feed_id)
