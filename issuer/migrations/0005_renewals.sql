-- Renewals: a copy that is near its end, shown whole, is exchanged for copies that hold longer, of the same offer; and what
-- staff decide on those, and on deferred offers, that wait for their word.

-- When the copies of a collection hold, if it is another time than the offer's; and how often what they say was renewed.
ALTER TABLE collections ADD COLUMN valid_from INTEGER;
ALTER TABLE collections ADD COLUMN valid_until INTEGER;
ALTER TABLE collections ADD COLUMN generation INTEGER NOT NULL DEFAULT 0;

CREATE TABLE renewals (
    seq               INTEGER PRIMARY KEY AUTOINCREMENT,
    renewal_id        TEXT    NOT NULL UNIQUE,
    offer_id          TEXT    NOT NULL REFERENCES offers (offer_id),
    state             TEXT    NOT NULL CHECK (state IN ('pending', 'approved', 'rejected', 'issued', 'lapsed')),
    generation        INTEGER NOT NULL CHECK (generation > 0),
    valid_from        INTEGER NOT NULL,
    valid_until       INTEGER NOT NULL,
    asked_at          INTEGER NOT NULL,
    -- Only of one that waits for staff, until it is over: the claims, sealed under a secret that only the wallet has; the
    -- copies' public keys and their thumbprints.
    claims            BLOB,
    holder_keys       TEXT,
    thumbprints       TEXT,
    wait_until        INTEGER,
    transaction_hash  BLOB    UNIQUE,
    notification_hash BLOB    UNIQUE,
    request_digest    BLOB    NOT NULL,
    decided_at        INTEGER,
    decided_by        TEXT,
    reason            TEXT,
    collection        INTEGER REFERENCES collections (seq),
    CHECK (state IN ('pending', 'approved') OR (claims IS NULL AND holder_keys IS NULL AND thumbprints IS NULL)),
    CHECK ((decided_at IS NULL) = (decided_by IS NULL))
) STRICT;

CREATE INDEX renewals_by_offer ON renewals (offer_id, seq);
CREATE INDEX renewals_by_state ON renewals (state, seq);

-- What was decided on a deferred offer, by whom and why.
ALTER TABLE offers ADD COLUMN decided_at INTEGER;
ALTER TABLE offers ADD COLUMN decided_by TEXT;
ALTER TABLE offers ADD COLUMN reason TEXT;
ALTER TABLE offers ADD COLUMN rejected INTEGER NOT NULL DEFAULT 0 CHECK (rejected IN (0, 1));

CREATE TRIGGER renewals_remain BEFORE DELETE ON renewals
BEGIN SELECT RAISE(ABORT, 'what was decided is not forgotten'); END;
CREATE TRIGGER decisions_stay BEFORE UPDATE ON renewals WHEN OLD.decided_at IS NOT NULL AND (NEW.decided_at IS NOT OLD.decided_at
    OR NEW.decided_by IS NOT OLD.decided_by OR NEW.reason IS NOT OLD.reason)
BEGIN SELECT RAISE(ABORT, 'what was decided is not changed'); END;
CREATE TRIGGER offer_decisions_stay BEFORE UPDATE ON offers WHEN OLD.decided_at IS NOT NULL AND (NEW.decided_at IS NOT
    OLD.decided_at OR NEW.decided_by IS NOT OLD.decided_by OR NEW.reason IS NOT OLD.reason OR NEW.rejected IS NOT OLD.rejected)
BEGIN SELECT RAISE(ABORT, 'what was decided is not changed'); END;
