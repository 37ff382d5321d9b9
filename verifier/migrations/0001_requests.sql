-- A request to a holder, and what came of it. There is no column for a claim: what was shown is not kept.
CREATE TABLE requests (
    number            INTEGER PRIMARY KEY AUTOINCREMENT,
    id                TEXT    NOT NULL UNIQUE,
    -- Chosen by the caller; the same one gives the same request.
    request_id        TEXT    UNIQUE,
    -- SHA-256 over what was asked for under that request_id.
    parameters_digest BLOB    NOT NULL CHECK (length(parameters_digest) = 32),
    template          TEXT    NOT NULL,
    -- DCQL.
    query             TEXT    NOT NULL,
    audience          TEXT    NOT NULL,
    -- Both are erased once the request can no longer be answered.
    nonce             TEXT    NOT NULL,
    request_object    TEXT    NOT NULL,
    -- Seconds since 1970-01-01T00:00:00Z.
    created_at        INTEGER NOT NULL,
    expires_at        INTEGER NOT NULL,
    keep_until        INTEGER NOT NULL,
    -- 'refused' can still be answered until it expires or its attempts are used up.
    state             TEXT    NOT NULL CHECK (state IN ('open', 'accepted', 'refused', 'expired')),
    attempts          INTEGER NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    -- JSON: named checks, codes, and paths; never values.
    verdict           TEXT,
    CHECK ((state IN ('accepted', 'refused')) = (verdict IS NOT NULL))
) STRICT;

CREATE INDEX requests_to_expire ON requests (expires_at) WHERE nonce <> '';
CREATE INDEX requests_to_forget ON requests (keep_until);
