-- A nonce carries its own end and a MAC, so that none is stored when it is given out. One that was used is stored until its
-- end, in the transaction of the intent: that is why it works once.
DROP TABLE nonces;

CREATE TABLE used_nonces (
    hash       BLOB    NOT NULL PRIMARY KEY,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX used_nonces_by_end ON used_nonces (expires_at);
