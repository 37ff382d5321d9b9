-- How many holders' credentials look alike to those who compare what is visible in them. A holder counts where their newest copies
-- are; claims are in none of it.
CREATE TABLE cohorts (
    credential_type TEXT    NOT NULL,
    format          TEXT    NOT NULL,
    valid_from      INTEGER NOT NULL,
    valid_until     INTEGER NOT NULL,
    holders         INTEGER NOT NULL CHECK (holders >= 0),
    PRIMARY KEY (credential_type, format, valid_from, valid_until)
) STRICT, WITHOUT ROWID;

-- The collection whose copies an offer's holder counts by (no foreign key: it would have each insertion into collections read all offers);
-- NULL: none was signed.
ALTER TABLE offers ADD COLUMN counted INTEGER;

UPDATE offers SET counted = (SELECT max(c.seq) FROM collections c WHERE c.offer_id = offers.offer_id AND c.state = 'signed')
WHERE state = 'collected';
INSERT INTO cohorts (credential_type, format, valid_from, valid_until, holders)
SELECT o.credential_type, o.format, coalesce(c.valid_from, o.valid_from), coalesce(c.valid_until, o.valid_until), count(*)
FROM offers o JOIN collections c ON c.seq = o.counted GROUP BY 1, 2, 3, 4;

CREATE TRIGGER holder_counts AFTER UPDATE OF state ON collections WHEN NEW.state = 'signed' AND OLD.state <> 'signed'
BEGIN
    UPDATE cohorts SET holders = holders - 1
    WHERE holders > 0 AND (credential_type, format, valid_from, valid_until) =
        (SELECT o.credential_type, o.format, coalesce(c.valid_from, o.valid_from), coalesce(c.valid_until, o.valid_until)
         FROM offers o JOIN collections c ON c.seq = o.counted WHERE o.offer_id = NEW.offer_id);
    INSERT INTO cohorts (credential_type, format, valid_from, valid_until, holders)
    SELECT o.credential_type, o.format, coalesce(NEW.valid_from, o.valid_from), coalesce(NEW.valid_until, o.valid_until), 1
    FROM offers o WHERE o.offer_id = NEW.offer_id
    ON CONFLICT (credential_type, format, valid_from, valid_until) DO UPDATE SET holders = holders + 1;
    UPDATE offers SET counted = NEW.seq WHERE offer_id = NEW.offer_id;
END;
