CREATE TABLE agent_states (
    conversation TEXT PRIMARY KEY, form TEXT NOT NULL, state BLOB, requests BLOB, before BLOB
);
ALTER TABLE turns ADD COLUMN output BLOB;
ALTER TABLE turns ADD COLUMN requests BLOB;
ALTER TABLE accepted ADD COLUMN more BLOB;
ALTER TABLE accepted ADD COLUMN requests BLOB;
