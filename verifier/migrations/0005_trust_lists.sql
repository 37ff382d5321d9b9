-- The newest trust list that was ever accepted, by the DID that names it. It is here before anything is decided by it, and
-- stays when it has expired: an older one is refused for ever (spec/trust.md 4.2).
CREATE TABLE trust_lists (
    list     TEXT    NOT NULL PRIMARY KEY,
    sequence INTEGER NOT NULL CHECK (sequence >= 1),
    digest   TEXT    NOT NULL,
    -- JSON, with its proofs: after a restart it decides, wherever its source may be.
    document TEXT    NOT NULL
) STRICT, WITHOUT ROWID;
