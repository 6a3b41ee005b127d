ALTER TABLE turns ADD COLUMN state TEXT NOT NULL DEFAULT 'answered';
CREATE TABLE accepted (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE, conversation TEXT NOT NULL, message TEXT NOT NULL,
    accepted_at REAL NOT NULL, deadline_at REAL,
    priority INTEGER NOT NULL, strategy TEXT, key TEXT, digest TEXT,
    attempts INTEGER NOT NULL DEFAULT 0,
    state TEXT, number INTEGER, cause TEXT, detail TEXT, outcome TEXT,
    retry_after_s REAL, waited_s REAL, ran_s REAL
);
CREATE INDEX unfinished ON accepted (sequence) WHERE state IS NULL;
CREATE INDEX keyed ON accepted (sequence) WHERE key IS NOT NULL;
CREATE INDEX by_conversation ON accepted (conversation);
