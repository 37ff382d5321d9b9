-- Offers, nonces, collections and issued copies.
-- Secrets (codes, PINs, tokens, nonces, handles) are here as SHA-256 digests only. The one place that holds a person's
-- claims is offers.claims; it becomes NULL when the offer is collected, cancelled, expired or locked.

CREATE TABLE offers (
    seq              INTEGER PRIMARY KEY AUTOINCREMENT,
    offer_id         TEXT    NOT NULL UNIQUE,
    request_id       TEXT    NOT NULL UNIQUE,
    terms            TEXT    NOT NULL,
    credential_type  TEXT    NOT NULL,
    format           TEXT    NOT NULL,
    claims           TEXT,
    valid_from       INTEGER NOT NULL,
    valid_until      INTEGER NOT NULL,
    code_hash        BLOB    NOT NULL UNIQUE,
    pin_hash         BLOB,
    pin_failures     INTEGER NOT NULL DEFAULT 0,
    token_hash       BLOB    UNIQUE,
    token_until      INTEGER,
    state            TEXT    NOT NULL CHECK (state IN ('open', 'redeemed', 'collected', 'cancelled', 'expired')),
    deferred         INTEGER NOT NULL CHECK (deferred IN (0, 1)),
    released         INTEGER NOT NULL DEFAULT 0 CHECK (released IN (0, 1)),
    created_at       INTEGER NOT NULL,
    expires_at       INTEGER NOT NULL,
    -- While redeemed: when the claims are erased if nobody collects.
    collect_until    INTEGER,
    CHECK (state IN ('open', 'redeemed') OR claims IS NULL)
) STRICT;

CREATE INDEX offers_by_state ON offers (state, seq);

CREATE TABLE nonces (
    hash       BLOB    NOT NULL PRIMARY KEY,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX nonces_by_end ON nonces (expires_at);

-- One answered, or about to be answered, request for copies.
CREATE TABLE collections (
    seq               INTEGER PRIMARY KEY AUTOINCREMENT,
    offer_id          TEXT    NOT NULL REFERENCES offers (offer_id),
    request_digest    BLOB    NOT NULL,
    state             TEXT    NOT NULL CHECK (state IN ('intended', 'deferred', 'signed')),
    transaction_hash  BLOB    UNIQUE,
    notification_hash BLOB    NOT NULL UNIQUE,
    notification      INTEGER NOT NULL DEFAULT 0,
    -- Deferred only: the copies' public keys; NULL once signed.
    holder_keys       TEXT,
    -- The answer under a key that only the wallet can make, for a repeat of the same request; NULL once acknowledged.
    sealed            BLOB,
    sealed_until      INTEGER,
    UNIQUE (offer_id, request_digest),
    CHECK (state = 'deferred' OR holder_keys IS NULL)
) STRICT;

-- One row a copy, written before the copy is signed (issued_at is NULL until then), and never deleted: that, with UNIQUE, is
-- why no index is given out twice.
CREATE TABLE issued (
    seq          INTEGER PRIMARY KEY AUTOINCREMENT,
    issued_id    TEXT    NOT NULL UNIQUE,
    offer_id     TEXT    NOT NULL REFERENCES offers (offer_id),
    collection   INTEGER NOT NULL REFERENCES collections (seq),
    position     INTEGER NOT NULL,
    status_index INTEGER NOT NULL UNIQUE,
    intended_at  INTEGER NOT NULL,
    issued_at    INTEGER,
    UNIQUE (collection, position)
) STRICT;

CREATE INDEX issued_by_offer ON issued (offer_id, seq);
