-- Erasure on the holder's word: what stays is that there was a request and when it was erased.
CREATE TABLE requests_new (
    number            INTEGER PRIMARY KEY AUTOINCREMENT,
    id                TEXT    NOT NULL UNIQUE,
    -- Chosen by the caller; the same one gives the same request.
    request_id        TEXT    UNIQUE,
    -- SHA-256 over what was asked for under that request_id.
    parameters_digest BLOB    NOT NULL CHECK (length(parameters_digest) = 32),
    template          TEXT    NOT NULL,
    -- DCQL. Erased, like nonce and request_object, once the request can no longer be answered.
    query             TEXT    NOT NULL,
    audience          TEXT    NOT NULL,
    nonce             TEXT    NOT NULL,
    request_object    TEXT    NOT NULL,
    -- Seconds since 1970-01-01T00:00:00Z.
    created_at        INTEGER NOT NULL,
    expires_at        INTEGER NOT NULL,
    keep_until        INTEGER NOT NULL,
    -- 'refused' can still be answered until it expires or its attempts are used up.
    state             TEXT    NOT NULL CHECK (state IN ('open', 'accepted', 'refused', 'expired', 'erased')),
    attempts          INTEGER NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    -- JSON: named checks, codes, and paths; never values.
    verdict           TEXT,
    erased_at         INTEGER,
    CHECK ((state IN ('accepted', 'refused')) = (verdict IS NOT NULL)),
    CHECK ((state = 'erased') = (erased_at IS NOT NULL))
) STRICT;

INSERT INTO requests_new (number, id, request_id, parameters_digest, template, query, audience, nonce, request_object,
                          created_at, expires_at, keep_until, state, attempts, verdict)
SELECT number, id, request_id, parameters_digest, template, CASE nonce WHEN '' THEN '' ELSE query END, audience, nonce,
       request_object, created_at, expires_at, keep_until, state, attempts, verdict
FROM requests;
DROP TABLE requests;
ALTER TABLE requests_new RENAME TO requests;

CREATE INDEX requests_to_expire ON requests (expires_at) WHERE nonce <> '';
CREATE INDEX requests_to_forget ON requests (keep_until);

-- The claims that a template says must be kept, each until its own end; there is no other place for a claim.
CREATE TABLE kept_claims (
    request  INTEGER NOT NULL REFERENCES requests (number) ON DELETE CASCADE,
    query_id TEXT    NOT NULL,
    path     TEXT    NOT NULL,
    -- JSON.
    value    TEXT    NOT NULL,
    erase_at INTEGER NOT NULL,
    PRIMARY KEY (request, query_id, path)
) STRICT, WITHOUT ROWID;

CREATE INDEX kept_claims_to_erase ON kept_claims (erase_at);
