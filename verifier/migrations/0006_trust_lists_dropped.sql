-- Why the list decides no more, where it did not hold when it was verified anew (spec/trust.md 7.2); NULL while it holds.
ALTER TABLE trust_lists ADD COLUMN dropped TEXT;
