-- Totals of uses by service too, as issuers keep theirs. Those of before stand under no service.
CREATE TABLE totals_by_service (
    template TEXT    NOT NULL,
    issuer   TEXT    NOT NULL,
    service  TEXT    NOT NULL,
    month    TEXT    NOT NULL CHECK (length(month) = 7),
    uses     INTEGER NOT NULL CHECK (uses >= 1),
    PRIMARY KEY (template, issuer, service, month)
) STRICT, WITHOUT ROWID;

INSERT INTO totals_by_service (template, issuer, service, month, uses)
SELECT template, issuer, '', month, uses FROM redemption_totals;
DROP TABLE redemption_totals;
ALTER TABLE totals_by_service RENAME TO redemption_totals;
