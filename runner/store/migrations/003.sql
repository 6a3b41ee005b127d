CREATE TABLE conversations (id TEXT PRIMARY KEY) WITHOUT ROWID;
INSERT INTO conversations SELECT DISTINCT conversation FROM turns;
CREATE INDEX ended ON accepted (accepted_at) WHERE state IS NOT NULL;
