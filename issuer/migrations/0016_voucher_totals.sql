-- How many vouchers were issued, and how many uses they give: by service, redeemer, and month in UTC. No serial, no offer, no person.
CREATE TABLE voucher_totals (
    service  TEXT    NOT NULL,
    redeemer TEXT    NOT NULL,
    month    TEXT    NOT NULL CHECK (length(month) = 7),
    vouchers INTEGER NOT NULL CHECK (vouchers >= 1),
    uses     INTEGER NOT NULL CHECK (uses >= 1),
    PRIMARY KEY (service, redeemer, month)
) STRICT, WITHOUT ROWID;
