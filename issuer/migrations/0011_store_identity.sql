-- Which store this is, and how far it has come. A copy of both numbers stands beside the keys, so that another store and an older
-- one are known as such (spec/store.md).
CREATE TABLE store_identity (
    one         INTEGER PRIMARY KEY CHECK (one = 1),
    -- Drawn at random when the store is made; NULL until a store from before there were ids is given one.
    id          TEXT,
    -- Rises in each transaction whose loss matters. It counts no credentials.
    number      INTEGER NOT NULL DEFAULT 0 CHECK (number >= 0),
    -- The number of what is published. It rises with each act of staff and each list that is opened, and otherwise at midnight
    -- (UTC) if anything was issued since the last one, so that nobody reads in it when that was.
    publication INTEGER NOT NULL DEFAULT 0 CHECK (publication >= 0),
    -- The number at the last midnight, and when that was looked at.
    noted       INTEGER NOT NULL DEFAULT 0,
    noted_at    INTEGER NOT NULL DEFAULT 0
) STRICT;

INSERT INTO store_identity (one) VALUES (1);

-- The ids that this store had before it was restored from an older backup, each with the numbers that were known then.
CREATE TABLE former_stores (
    id          TEXT    NOT NULL PRIMARY KEY,
    number      INTEGER NOT NULL,
    publication INTEGER NOT NULL,
    restored_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What was published of copies that a restored store does not know: they were issued after its backup was made.
CREATE TABLE inherited_statuses (
    status_index INTEGER PRIMARY KEY,
    state        TEXT    NOT NULL CHECK (state IN ('suspended', 'revoked')),
    act          INTEGER NOT NULL REFERENCES status_acts (seq)
) STRICT;

CREATE INDEX inherited_statuses_by_act ON inherited_statuses (act);

-- A list on which such copies may stand: nobody here knows when the last of them ends, so that it stays published.
ALTER TABLE status_lists ADD COLUMN inherited INTEGER NOT NULL DEFAULT 0 CHECK (inherited IN (0, 1));

CREATE TRIGGER numbers_rise BEFORE UPDATE ON store_identity
WHEN NEW.number < OLD.number OR NEW.publication < OLD.publication
BEGIN SELECT RAISE(ABORT, 'the numbers of a store only rise'); END;
CREATE TRIGGER identity_stays BEFORE DELETE ON store_identity
BEGIN SELECT RAISE(ABORT, 'a store has one identity'); END;

-- Acts of staff, and lists: both numbers.
CREATE TRIGGER status_act_counts AFTER INSERT ON status_acts
BEGIN UPDATE store_identity SET number = number + 1, publication = publication + 1; END;
CREATE TRIGGER message_act_counts AFTER INSERT ON message_acts
BEGIN UPDATE store_identity SET number = number + 1, publication = publication + 1; END;
CREATE TRIGGER opened_list_counts AFTER INSERT ON status_lists
BEGIN UPDATE store_identity SET number = number + 1, publication = publication + 1; END;

-- Indices that were given out, once for each batch; links that were used; what was decided.
CREATE TRIGGER intent_counts AFTER INSERT ON issued WHEN NEW.position = 0
BEGIN UPDATE store_identity SET number = number + 1; END;
CREATE TRIGGER used_offer_counts AFTER UPDATE OF state ON offers
WHEN NEW.state <> OLD.state AND NEW.state IN ('redeemed', 'collected', 'cancelled')
BEGIN UPDATE store_identity SET number = number + 1; END;
CREATE TRIGGER decided_offer_counts AFTER UPDATE OF decided_at ON offers WHEN NEW.decided_at IS NOT OLD.decided_at
BEGIN UPDATE store_identity SET number = number + 1; END;
CREATE TRIGGER renewal_counts AFTER UPDATE OF state ON renewals WHEN NEW.state <> OLD.state
BEGIN UPDATE store_identity SET number = number + 1; END;
