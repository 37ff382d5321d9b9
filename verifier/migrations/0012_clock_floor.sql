-- The latest time that an issuer signed as now and this verifier has verified: no right clock stands before it (spec/freshness.md 2.9).
CREATE TABLE clock_floor (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    at  INTEGER NOT NULL
) STRICT;

INSERT INTO clock_floor (one, at) VALUES (1, 0);

CREATE TRIGGER clock_floor_rises BEFORE UPDATE ON clock_floor WHEN NEW.at < OLD.at
BEGIN SELECT RAISE(ABORT, 'the floor of the clock only rises'); END;
CREATE TRIGGER clock_floor_stays BEFORE DELETE ON clock_floor
BEGIN SELECT RAISE(ABORT, 'the floor of the clock is not forgotten'); END;
