"""The tables of the SQLite store, one step after another."""

from __future__ import annotations

MIGRATIONS = (
    """
    CREATE TABLE turns (
        conversation TEXT NOT NULL, number INTEGER NOT NULL, id TEXT NOT NULL UNIQUE,
        message TEXT NOT NULL, reply TEXT NOT NULL,
        created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
        PRIMARY KEY (conversation, number)
    ) WITHOUT ROWID;
    """,
    """
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
    """,
    """
    CREATE TABLE conversations (id TEXT PRIMARY KEY) WITHOUT ROWID;
    INSERT INTO conversations SELECT DISTINCT conversation FROM turns;
    CREATE INDEX ended ON accepted (accepted_at) WHERE state IS NOT NULL;
    """,
)
"""What leads from each version of the tables to the next; an empty file has version 0."""
