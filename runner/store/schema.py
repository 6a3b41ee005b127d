"""The tables of the SQLite store, and its statements."""

from __future__ import annotations

VERSION = 2

FIRST = """
CREATE TABLE turns (
    conversation TEXT NOT NULL,
    number INTEGER NOT NULL,
    id TEXT NOT NULL UNIQUE,
    message TEXT NOT NULL,
    reply TEXT NOT NULL,
    created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    PRIMARY KEY (conversation, number)
) WITHOUT ROWID;
"""

SECOND = """
ALTER TABLE turns ADD COLUMN state TEXT NOT NULL DEFAULT 'answered';
CREATE TABLE accepted (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    conversation TEXT NOT NULL,
    message TEXT NOT NULL,
    accepted_at REAL NOT NULL,
    deadline_at REAL,
    priority INTEGER NOT NULL,
    strategy TEXT,
    key TEXT,
    digest TEXT,
    attempts INTEGER NOT NULL DEFAULT 0,
    state TEXT,
    number INTEGER,
    cause TEXT,
    detail TEXT,
    outcome TEXT,
    retry_after_s REAL,
    waited_s REAL,
    ran_s REAL
);
CREATE INDEX unfinished ON accepted (sequence) WHERE state IS NULL;
CREATE INDEX keyed ON accepted (sequence) WHERE key IS NOT NULL;
CREATE INDEX by_conversation ON accepted (conversation);
"""

MIGRATIONS = (FIRST, SECOND)
"""What leads from each version to the next, from none to `VERSION`."""

COMMIT = """
INSERT INTO turns (conversation, number, id, message, reply, state)
SELECT :conversation, coalesce(max(number), 0) + 1, :turn_id, :message, :reply, :state
FROM turns WHERE conversation = :conversation
RETURNING number
"""

ANSWER = """
UPDATE accepted SET state = :state, number = :number WHERE id = :id AND state IS NULL
"""

LAST = """
SELECT message, reply FROM turns WHERE conversation = ? ORDER BY number DESC LIMIT ?
"""

CONVERSATIONS = """
SELECT conversation, max(number) FROM turns
WHERE substr(conversation, 1, length(:prefix)) = :prefix GROUP BY conversation
"""

ACCEPT = """
INSERT INTO accepted
    (id, conversation, message, accepted_at, deadline_at, priority, strategy, key, digest)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
"""

BEGIN = "UPDATE accepted SET attempts = attempts + 1 WHERE id = ?"

END = """
UPDATE accepted SET
    state = :state, cause = :cause, detail = :detail, outcome = :outcome,
    retry_after_s = :retry_after_s, waited_s = :waited_s, ran_s = :ran_s
WHERE id = :id AND state IS NULL
"""

ACCEPTED = """
SELECT
    a.id, a.conversation, {message}, a.accepted_at, a.deadline_at, a.priority, a.strategy,
    a.key, a.digest, a.attempts, a.state, {reply}, a.number, a.cause, a.detail, a.outcome,
    a.retry_after_s, a.waited_s, a.ran_s
FROM accepted AS a
"""
WITH_REPLY = ACCEPTED.format(message="a.message", reply="t.reply") + (
    "LEFT JOIN turns AS t ON t.conversation = a.conversation AND t.number = a.number "
)
FIND = WITH_REPLY + "WHERE a.id = ?"
UNFINISHED = (
    ACCEPTED.format(message="a.message", reply="NULL") + "WHERE a.state IS NULL ORDER BY a.sequence"
)
KEYED = ACCEPTED.format(message="''", reply="NULL") + "WHERE a.key IS NOT NULL ORDER BY a.sequence"

FIND_COMMITTED = """
SELECT conversation, unixepoch(created_at), state, reply, number FROM turns WHERE id = ?
"""

PRUNE = """
DELETE FROM accepted WHERE state IS NOT NULL AND (
    accepted_at < :before
    OR sequence NOT IN (
        SELECT sequence FROM accepted WHERE state IS NOT NULL
        ORDER BY sequence DESC LIMIT :most
    )
)
"""

FORGET = (
    "DELETE FROM turns WHERE conversation = ?",
    "DELETE FROM accepted WHERE conversation = ? AND state IS NOT NULL",
)
