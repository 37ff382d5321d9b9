-- The floor falls only where the operator lowers it, which is counted (spec/freshness.md 2.9).
ALTER TABLE clock_floor ADD COLUMN lowered INTEGER NOT NULL DEFAULT 0;

DROP TRIGGER clock_floor_rises;
CREATE TRIGGER clock_floor_rises BEFORE UPDATE ON clock_floor WHEN NEW.at < OLD.at AND NEW.lowered <> OLD.lowered + 1
BEGIN SELECT RAISE(ABORT, 'the floor of the clock only rises'); END;
