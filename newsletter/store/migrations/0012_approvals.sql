-- What a mail was made of beside its text, so that it can be told which template or setting changed; see ../schema.sql.

ALTER TABLE approvals ADD COLUMN sources TEXT NOT NULL DEFAULT '';
