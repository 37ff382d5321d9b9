-- What staff find an offer by: a reference of the registrar's own, and who made it; NULL where there is none, and in offers of
-- before. Both are kept for as long as the record of the offer.
ALTER TABLE offers ADD COLUMN reference TEXT;
ALTER TABLE offers ADD COLUMN created_by TEXT;

CREATE INDEX offers_by_reference ON offers (reference, seq) WHERE reference IS NOT NULL;

CREATE TRIGGER offer_makers_stay BEFORE UPDATE ON offers
WHEN NEW.created_by IS NOT OLD.created_by OR NEW.reference IS NOT OLD.reference
BEGIN SELECT RAISE(ABORT, 'who made an offer is not changed'); END;
