-- What the holder of a copy asks by, so that those who were shown the copy cannot: SHA-256 of its handle (spec/freshness.md 1.3).
-- NULL for copies of before, for those that were never signed, and once the copy's time is over.
ALTER TABLE issued ADD COLUMN handle_hash BLOB;
CREATE UNIQUE INDEX issued_by_handle ON issued (handle_hash) WHERE handle_hash IS NOT NULL;
