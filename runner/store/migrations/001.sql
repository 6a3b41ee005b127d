CREATE TABLE turns (
    conversation TEXT NOT NULL, number INTEGER NOT NULL, id TEXT NOT NULL UNIQUE,
    message TEXT NOT NULL, reply TEXT NOT NULL,
    created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    PRIMARY KEY (conversation, number)
) WITHOUT ROWID;
