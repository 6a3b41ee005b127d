ALTER TABLE accepted ADD COLUMN webhook TEXT;
CREATE INDEX untold ON accepted (sequence) WHERE webhook IS NOT NULL;
