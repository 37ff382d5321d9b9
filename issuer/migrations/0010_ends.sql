-- What is past its end, in indexes that hold only what has an end to come: a sweep reads what it erases and no more.
CREATE INDEX offers_to_expire ON offers (expires_at) WHERE state = 'open';
CREATE INDEX offers_to_erase ON offers (collect_until) WHERE state = 'redeemed';
CREATE INDEX answers_to_erase ON collections (sealed_until) WHERE sealed_until IS NOT NULL;
CREATE INDEX renewals_to_lapse ON renewals (wait_until) WHERE state IN ('pending', 'approved');
CREATE INDEX renewals_by_collection ON renewals (collection) WHERE collection IS NOT NULL;
-- Offers that an act by time and type does not take yet, since they are not collected.
CREATE INDEX offers_uncollected ON offers (created_at, credential_type) WHERE state IN ('open', 'redeemed');

-- Until when the copies of a collection are known by their keys and digests; NULL once both are erased.
ALTER TABLE collections ADD COLUMN known_until INTEGER;
UPDATE collections
SET known_until = max(coalesce(valid_until, 0),
                      (SELECT o.valid_until FROM offers o WHERE o.offer_id = collections.offer_id))
WHERE EXISTS (SELECT 1 FROM issued i WHERE i.collection = collections.seq
              AND (i.holder_thumbprint IS NOT NULL OR i.copy_digest IS NOT NULL));
CREATE INDEX collections_to_forget ON collections (known_until) WHERE known_until IS NOT NULL;
-- It read every offer that had ever ended.
DROP INDEX offers_by_end;

CREATE TRIGGER copies_known AFTER INSERT ON collections
BEGIN
    UPDATE collections SET known_until = max(coalesce(NEW.valid_until, 0),
        (SELECT o.valid_until FROM offers o WHERE o.offer_id = NEW.offer_id)) WHERE seq = NEW.seq;
END;
-- Copies of an offer that waited for staff may be signed after their end.
CREATE TRIGGER copies_known_again AFTER UPDATE OF state ON collections
WHEN NEW.state = 'signed' AND NEW.known_until IS NULL
BEGIN
    UPDATE collections SET known_until = max(coalesce(NEW.valid_until, 0),
        (SELECT o.valid_until FROM offers o WHERE o.offer_id = NEW.offer_id)) WHERE seq = NEW.seq;
END;
