CREATE TABLE merged (
    id TEXT PRIMARY KEY, conversation TEXT NOT NULL, number INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX merged_by_conversation ON merged (conversation);
