-- Uses of entitlements (spec/entitlement.md). Of an entitlement there is a digest alone, and nothing says by which request a
-- use was marked.
CREATE TABLE redemptions (
    -- Whose mark it is; '': this desk's own.
    desk        TEXT    NOT NULL,
    -- That desk's number for it.
    sequence    INTEGER NOT NULL CHECK (sequence >= 1),
    -- SHA-256 over issuer and entitlementId.
    entitlement BLOB    NOT NULL CHECK (length(entitlement) = 32),
    -- How many uses the entitlement gives in all.
    uses        INTEGER NOT NULL CHECK (uses BETWEEN 1 AND 1000),
    -- Seconds since 1970-01-01T00:00:00Z.
    marked_at   INTEGER NOT NULL,
    erase_at    INTEGER NOT NULL,
    PRIMARY KEY (desk, sequence)
) STRICT, WITHOUT ROWID;

CREATE INDEX redemptions_of_entitlement ON redemptions (entitlement);
CREATE INDEX redemptions_to_erase ON redemptions (erase_at);

-- How far each desk is known. The numbers stay when the marks are erased, so that none is given twice.
CREATE TABLE redemption_desks (
    -- '': this desk.
    desk     TEXT    NOT NULL PRIMARY KEY,
    -- The number of its last mark.
    last     INTEGER NOT NULL DEFAULT 0 CHECK (last >= 0),
    -- The number of its last export: that was made, for this desk, and that was taken, for another.
    exported INTEGER NOT NULL DEFAULT 0 CHECK (exported >= 0),
    -- For this desk: the number of its last mark when all other desks' exports were last taken.
    synced   INTEGER NOT NULL DEFAULT 0 CHECK (synced >= 0)
) STRICT, WITHOUT ROWID;
