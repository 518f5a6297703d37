-- By which relay and connection a row in doubt went; what the column is for stands in ../schema.sql.

ALTER TABLE deliveries ADD COLUMN via TEXT;
