-- Which store this is, and how far it has come. A copy of the number stands beside the keys, so that another store and an older
-- one are known as such (spec/store.md).
CREATE TABLE store_identity (
    one         INTEGER PRIMARY KEY CHECK (one = 1),
    -- Drawn at random when the store is made; NULL until a store from before there were ids is given one.
    id          TEXT,
    -- Rises in each transaction whose loss matters: uses of vouchers, exports and reconciliations, erasures, trust lists.
    number      INTEGER NOT NULL DEFAULT 0 CHECK (number >= 0),
    -- A verifier publishes nothing.
    publication INTEGER NOT NULL DEFAULT 0 CHECK (publication >= 0)
) STRICT;

INSERT INTO store_identity (one) VALUES (1);

-- The ids that this store had before it was restored from an older backup, each with the number that was known then.
CREATE TABLE former_stores (
    id          TEXT    NOT NULL PRIMARY KEY,
    number      INTEGER NOT NULL,
    publication INTEGER NOT NULL,
    restored_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TRIGGER numbers_rise BEFORE UPDATE ON store_identity
WHEN NEW.number < OLD.number OR NEW.publication < OLD.publication
BEGIN SELECT RAISE(ABORT, 'the numbers of a store only rise'); END;
CREATE TRIGGER identity_stays BEFORE DELETE ON store_identity
BEGIN SELECT RAISE(ABORT, 'a store has one identity'); END;

-- A mark of this desk changes its row in redemption_desks; those of others are written one by one.
CREATE TRIGGER foreign_use_counts AFTER INSERT ON redemptions WHEN NEW.desk <> ''
BEGIN UPDATE store_identity SET number = number + 1; END;
CREATE TRIGGER first_use_counts AFTER INSERT ON redemption_desks
BEGIN UPDATE store_identity SET number = number + 1; END;
CREATE TRIGGER use_counts AFTER UPDATE ON redemption_desks
BEGIN UPDATE store_identity SET number = number + 1; END;
CREATE TRIGGER erasure_counts AFTER UPDATE OF erased_at ON requests WHEN NEW.erased_at IS NOT OLD.erased_at
BEGIN UPDATE store_identity SET number = number + 1; END;
CREATE TRIGGER first_trust_list_counts AFTER INSERT ON trust_lists
BEGIN UPDATE store_identity SET number = number + 1; END;
CREATE TRIGGER trust_list_counts AFTER UPDATE OF sequence ON trust_lists WHEN NEW.sequence <> OLD.sequence
BEGIN UPDATE store_identity SET number = number + 1; END;
