-- Entitlements that were used more often than they give, so that nobody counts all marks to find them. They are forgotten
-- with the last of their marks.
CREATE TABLE overused_entitlements (
    entitlement BLOB NOT NULL PRIMARY KEY
) STRICT, WITHOUT ROWID;

INSERT INTO overused_entitlements (entitlement)
SELECT entitlement FROM redemptions GROUP BY entitlement HAVING count(*) > max(uses);

CREATE TRIGGER use_too_many AFTER INSERT ON redemptions
WHEN (SELECT count(*) > max(uses) FROM redemptions WHERE entitlement = NEW.entitlement)
BEGIN INSERT INTO overused_entitlements (entitlement) VALUES (NEW.entitlement) ON CONFLICT (entitlement) DO NOTHING; END;
CREATE TRIGGER use_forgotten AFTER DELETE ON redemptions
WHEN NOT EXISTS (SELECT 1 FROM redemptions WHERE entitlement = OLD.entitlement)
BEGIN DELETE FROM overused_entitlements WHERE entitlement = OLD.entitlement; END;
