ALTER TABLE conversations ADD COLUMN said TEXT;
CREATE INDEX said ON conversations (said) WHERE said IS NOT NULL;
