-- Of another desk: the number of its last mark when it was last reconciled, in `synced`, as its newest export says; the number of
-- this desk's newest export that it had taken then; and what came of it, if it was written off.
ALTER TABLE redemption_desks ADD COLUMN own_taken INTEGER NOT NULL DEFAULT 0 CHECK (own_taken >= 0);
-- Seconds since 1970-01-01T00:00:00Z; NULL: it is not written off.
ALTER TABLE redemption_desks ADD COLUMN written_off_at INTEGER;
-- The most uses that it could have let through and that nobody will see.
ALTER TABLE redemption_desks ADD COLUMN unseen INTEGER;

-- How many uses this desk has marked: by what was asked, by issuer, and by month in UTC. No serial, no request, no person.
CREATE TABLE redemption_totals (
    template TEXT    NOT NULL,
    issuer   TEXT    NOT NULL,
    month    TEXT    NOT NULL CHECK (length(month) = 7),
    uses     INTEGER NOT NULL CHECK (uses >= 1),
    PRIMARY KEY (template, issuer, month)
) STRICT, WITHOUT ROWID;
