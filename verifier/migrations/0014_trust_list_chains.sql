-- What is remembered of the newest list beside its number and digest, as JSON (spec/trust.md 4.2); NULL for lists that
-- were accepted before there was a history of lists.
ALTER TABLE trust_lists ADD COLUMN seen TEXT;
-- The digest of a list that is accepted once, whatever was accepted before (spec/trust.md 4.6); NULL otherwise.
ALTER TABLE trust_lists ADD COLUMN accept TEXT;
-- The newest timestamp of the list, as JSON with its proof (spec/trust.md section 10); NULL where there was none.
ALTER TABLE trust_lists ADD COLUMN timestamp TEXT;
