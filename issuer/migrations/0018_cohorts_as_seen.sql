-- Cohorts by all that two askers see of copies, with the signing key and the status list, and of those holders alone who have a copy
-- that can be used.

-- The key that signed a collection's copies; NULL for those of before.
ALTER TABLE collections ADD COLUMN kid TEXT;

-- What is visible in the copies of a collection and the same in each. Where they stand on two status lists, the first copy's.
CREATE VIEW visible_collections AS
SELECT c.seq AS collection, o.credential_type, o.format, coalesce(c.valid_from, o.valid_from) AS valid_from,
    coalesce(c.valid_until, o.valid_until) AS valid_until, coalesce(c.kid, '') AS kid,
    coalesce((SELECT l.list FROM status_lists l WHERE l.first_index <= (SELECT i.status_index FROM issued i
        WHERE i.collection = c.seq ORDER BY i.position LIMIT 1) ORDER BY l.first_index DESC LIMIT 1), 0) AS list
FROM collections c JOIN offers o ON o.offer_id = c.offer_id;

DROP TRIGGER holder_counts;
DROP TABLE cohorts;
CREATE TABLE cohorts (
    credential_type TEXT    NOT NULL,
    format          TEXT    NOT NULL,
    valid_from      INTEGER NOT NULL,
    valid_until     INTEGER NOT NULL,
    kid             TEXT    NOT NULL,
    list            INTEGER NOT NULL,
    holders         INTEGER NOT NULL CHECK (holders >= 0),
    PRIMARY KEY (credential_type, format, valid_from, valid_until, kid, list)
) STRICT, WITHOUT ROWID;

-- offers.counted is the newest signed collection of the offer if one of its copies is valid, and NULL otherwise.
UPDATE offers SET counted = NULL WHERE counted IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM issued i LEFT JOIN statuses s ON s.status_index = i.status_index
    WHERE i.collection = offers.counted AND coalesce(s.state, 'valid') = 'valid');
INSERT INTO cohorts (credential_type, format, valid_from, valid_until, kid, list, holders)
SELECT v.credential_type, v.format, v.valid_from, v.valid_until, v.kid, v.list, count(*)
FROM offers o JOIN visible_collections v ON v.collection = o.counted WHERE o.counted IS NOT NULL GROUP BY 1, 2, 3, 4, 5, 6;

CREATE TRIGGER holder_moves AFTER UPDATE OF counted ON offers WHEN OLD.counted IS NOT NEW.counted
BEGIN
    UPDATE cohorts SET holders = holders - 1
    WHERE holders > 0 AND (credential_type, format, valid_from, valid_until, kid, list) =
        (SELECT v.credential_type, v.format, v.valid_from, v.valid_until, v.kid, v.list
         FROM visible_collections v WHERE v.collection = OLD.counted);
    INSERT INTO cohorts (credential_type, format, valid_from, valid_until, kid, list, holders)
    SELECT v.credential_type, v.format, v.valid_from, v.valid_until, v.kid, v.list, 1
    FROM visible_collections v WHERE v.collection = NEW.counted
    ON CONFLICT (credential_type, format, valid_from, valid_until, kid, list) DO UPDATE SET holders = holders + 1;
END;

CREATE TRIGGER holder_counts AFTER UPDATE OF state ON collections WHEN NEW.state = 'signed' AND OLD.state <> 'signed'
BEGIN
    UPDATE offers SET counted = CASE WHEN EXISTS (
        SELECT 1 FROM issued i LEFT JOIN statuses s ON s.status_index = i.status_index
        WHERE i.collection = NEW.seq AND coalesce(s.state, 'valid') = 'valid') THEN NEW.seq END
    WHERE offer_id = NEW.offer_id;
END;

CREATE TRIGGER holder_loses_or_keeps_copies AFTER INSERT ON statuses
BEGIN
    UPDATE offers SET counted = (
        SELECT n.seq FROM (SELECT max(c.seq) AS seq FROM collections c WHERE c.offer_id = offers.offer_id AND c.state = 'signed') n
        WHERE EXISTS (SELECT 1 FROM issued i LEFT JOIN statuses s ON s.status_index = i.status_index
            WHERE i.collection = n.seq AND coalesce(s.state, 'valid') = 'valid'))
    WHERE offer_id = (SELECT i.offer_id FROM issued i WHERE i.status_index = NEW.status_index);
END;

CREATE TRIGGER holder_loses_or_regains_copies AFTER UPDATE OF state ON statuses
BEGIN
    UPDATE offers SET counted = (
        SELECT n.seq FROM (SELECT max(c.seq) AS seq FROM collections c WHERE c.offer_id = offers.offer_id AND c.state = 'signed') n
        WHERE EXISTS (SELECT 1 FROM issued i LEFT JOIN statuses s ON s.status_index = i.status_index
            WHERE i.collection = n.seq AND coalesce(s.state, 'valid') = 'valid'))
    WHERE offer_id = (SELECT i.offer_id FROM issued i WHERE i.status_index = NEW.status_index);
END;
