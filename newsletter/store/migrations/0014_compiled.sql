-- What an approved issue was compiled to, so that its send needs no compiler; see ../schema.sql.

CREATE TABLE compiled_issues (
    issue TEXT NOT NULL PRIMARY KEY,
    source_digest TEXT NOT NULL,
    content TEXT NOT NULL
) WITHOUT ROWID;
