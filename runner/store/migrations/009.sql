ALTER TABLE conversations ADD COLUMN last_at REAL;
UPDATE conversations SET last_at = (
    SELECT (julianday(created_at) - 2440587.5) * 86400.0 FROM turns
    WHERE conversation = conversations.id ORDER BY number DESC LIMIT 1
);
CREATE INDEX idle ON conversations (last_at);
