CREATE TABLE agent_states (
    conversation TEXT NOT NULL, form TEXT NOT NULL, state BLOB, requests BLOB, before BLOB,
    PRIMARY KEY (conversation, form)
);
ALTER TABLE turns ADD COLUMN output BLOB;
ALTER TABLE turns ADD COLUMN requests BLOB;
ALTER TABLE accepted ADD COLUMN more BLOB;
