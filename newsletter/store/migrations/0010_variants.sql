-- Which edition a subscriber gets depends on the topics they chose too; see ../schema.sql.

CREATE TABLE send_variants (
    send_id BIGINT NOT NULL REFERENCES sends (id),
    language TEXT NOT NULL,
    topics TEXT NOT NULL,
    edition_id BIGINT NOT NULL REFERENCES editions (id),
    PRIMARY KEY (send_id, language, topics)
) WITHOUT ROWID;

INSERT INTO send_variants (send_id, language, topics, edition_id)
SELECT send_id, language, '', edition_id FROM send_languages;

DROP TABLE send_languages;
