-- Where addresses of articles led; what each column is for stands in ../schema.sql.

CREATE TABLE redirects (
    url_key TEXT NOT NULL PRIMARY KEY,
    target TEXT NOT NULL
) WITHOUT ROWID;
