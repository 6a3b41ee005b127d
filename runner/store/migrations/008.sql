ALTER TABLE accepted ADD COLUMN request_id TEXT;
ALTER TABLE accepted ADD COLUMN traceparent TEXT;
