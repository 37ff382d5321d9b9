-- Records of offers end: some days after the last of their copies did, or, where none was made, after the offer did.

-- Not before this, and the configured days, a record is forgotten; NULL: it was. It rises where copies end later.
ALTER TABLE offers ADD COLUMN record_from INTEGER;
UPDATE offers SET record_from = max(expires_at, coalesce(collect_until, 0));
CREATE INDEX offers_to_forget ON offers (record_from) WHERE record_from IS NOT NULL;

CREATE TRIGGER records_begin AFTER INSERT ON offers
BEGIN
    UPDATE offers SET record_from = NEW.expires_at WHERE seq = NEW.seq;
END;

-- What staff find an offer by, and what they decided, goes with the record, and is not changed before.
DROP TRIGGER offer_makers_stay;
CREATE TRIGGER offer_makers_stay BEFORE UPDATE ON offers
WHEN (NEW.created_by IS NOT OLD.created_by OR NEW.reference IS NOT OLD.reference)
    AND NOT (NEW.record_from IS NULL AND OLD.record_from IS NOT NULL AND NEW.created_by IS NULL AND NEW.reference IS NULL)
BEGIN SELECT RAISE(ABORT, 'who made an offer is not changed'); END;

DROP TRIGGER offer_decisions_stay;
CREATE TRIGGER offer_decisions_stay BEFORE UPDATE ON offers
WHEN OLD.decided_at IS NOT NULL AND (NEW.decided_at IS NOT OLD.decided_at OR NEW.decided_by IS NOT OLD.decided_by
    OR NEW.reason IS NOT OLD.reason OR NEW.rejected IS NOT OLD.rejected)
    AND NOT (NEW.record_from IS NULL AND OLD.record_from IS NOT NULL AND NEW.decided_at IS OLD.decided_at
        AND NEW.rejected IS OLD.rejected AND NEW.decided_by IS NULL AND NEW.reason IS NULL)
BEGIN SELECT RAISE(ABORT, 'what was decided is not changed'); END;

DROP TRIGGER decisions_stay;
CREATE TRIGGER decisions_stay BEFORE UPDATE ON renewals
WHEN OLD.decided_at IS NOT NULL AND (NEW.decided_at IS NOT OLD.decided_at OR NEW.decided_by IS NOT OLD.decided_by
    OR NEW.reason IS NOT OLD.reason)
    AND NOT (NEW.decided_at IS OLD.decided_at AND NEW.decided_by = '' AND NEW.reason IS NULL
        AND EXISTS (SELECT 1 FROM offers o WHERE o.offer_id = OLD.offer_id AND o.record_from IS NULL))
BEGIN SELECT RAISE(ABORT, 'what was decided is not changed'); END;

-- Filters of the list of offers.
CREATE INDEX offers_by_type ON offers (credential_type, seq);
CREATE INDEX offers_by_maker ON offers (created_by, seq) WHERE created_by IS NOT NULL;
