-- The life of what was issued: status lists, the state of each copy, and who changed it, when and why.

-- A list's entries are handed out in an order that is shuffled when the list is opened: the nth draw is the nth entry of the
-- permutation that `seed` keys. `drawn` only ever rises, in the transaction of the intent, so that no entry is given out
-- twice, whenever the power goes.
CREATE TABLE status_lists (
    -- The number in the list's URLs.
    list        INTEGER PRIMARY KEY,
    -- The status_index of its entry 0.
    first_index INTEGER NOT NULL UNIQUE,
    entries     INTEGER NOT NULL CHECK (entries >= 131072),
    seed        BLOB    NOT NULL CHECK (length(seed) = 32),
    drawn       INTEGER NOT NULL DEFAULT 0 CHECK (drawn BETWEEN 0 AND entries),
    opened_at   INTEGER NOT NULL
) STRICT;

-- Indices that were drawn before there were lists: their lists are full, so that nothing is drawn from them again.
INSERT INTO status_lists (list, first_index, entries, seed, drawn, opened_at)
WITH RECURSIVE numbers (n) AS (
    SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n < (SELECT max(status_index) / 131072 FROM issued)
)
SELECT n, n * 131072, 131072, zeroblob(32), 131072, 0 FROM numbers WHERE EXISTS (SELECT 1 FROM issued);

-- SHA-256 of the issuer-signed JWT of an SD-JWT copy, set when the copy goes out: what a freshness statement names it by.
ALTER TABLE issued ADD COLUMN copy_digest BLOB;
CREATE UNIQUE INDEX issued_by_digest ON issued (copy_digest) WHERE copy_digest IS NOT NULL;
CREATE INDEX issued_by_time ON issued (issued_at) WHERE issued_at IS NOT NULL;

-- What staff did. `seq` is the version of what is published: lists are made from all acts up to one of them.
CREATE TABLE status_acts (
    seq         INTEGER PRIMARY KEY AUTOINCREMENT,
    request_id  TEXT    NOT NULL UNIQUE,
    -- The digest of what was asked, to know a request_id that is used for something else.
    request     BLOB    NOT NULL,
    verb        TEXT    NOT NULL CHECK (verb IN ('revoke', 'suspend', 'reinstate')),
    reason      TEXT    NOT NULL CHECK (reason <> ''),
    who         TEXT    NOT NULL,
    at          INTEGER NOT NULL,
    credentials INTEGER NOT NULL,
    copies      INTEGER NOT NULL,
    changed     INTEGER NOT NULL
) STRICT;

-- The state of copies that an act has touched; a copy without a row is valid.
CREATE TABLE statuses (
    status_index INTEGER PRIMARY KEY REFERENCES issued (status_index),
    state        TEXT    NOT NULL CHECK (state IN ('valid', 'suspended', 'revoked')),
    -- The last act that changed it.
    act          INTEGER NOT NULL REFERENCES status_acts (seq)
) STRICT;

CREATE INDEX statuses_by_act ON statuses (act);

CREATE TABLE status_changes (
    act          INTEGER NOT NULL REFERENCES status_acts (seq),
    status_index INTEGER NOT NULL REFERENCES issued (status_index),
    before       TEXT    NOT NULL,
    after        TEXT    NOT NULL,
    PRIMARY KEY (act, status_index)
) STRICT, WITHOUT ROWID;

CREATE INDEX status_changes_by_index ON status_changes (status_index, act);

-- Whatever a program does: a revocation is not undone, and what was written down is not written over.
CREATE TRIGGER revoked_for_good BEFORE UPDATE ON statuses WHEN OLD.state = 'revoked'
BEGIN SELECT RAISE(ABORT, 'a revocation is not undone'); END;
CREATE TRIGGER statuses_stay BEFORE DELETE ON statuses
BEGIN SELECT RAISE(ABORT, 'a status is not forgotten'); END;
CREATE TRIGGER acts_stay BEFORE UPDATE ON status_acts
BEGIN SELECT RAISE(ABORT, 'what was done is not changed'); END;
CREATE TRIGGER acts_remain BEFORE DELETE ON status_acts
BEGIN SELECT RAISE(ABORT, 'what was done is not forgotten'); END;
CREATE TRIGGER changes_stay BEFORE UPDATE ON status_changes
BEGIN SELECT RAISE(ABORT, 'what was done is not changed'); END;
CREATE TRIGGER changes_remain BEFORE DELETE ON status_changes
BEGIN SELECT RAISE(ABORT, 'what was done is not forgotten'); END;
CREATE TRIGGER draws_rise BEFORE UPDATE ON status_lists WHEN NEW.drawn < OLD.drawn OR NEW.seed <> OLD.seed
    OR NEW.entries <> OLD.entries OR NEW.first_index <> OLD.first_index
BEGIN SELECT RAISE(ABORT, 'an entry is given out once'); END;
