-- Claims that no two offers may have in common (an entitlement's number), as digests: the values are erased with the claims.
-- Kept for good once a copy was made; forgotten with an offer that ended before. Offers of before are entered at the next start.
CREATE TABLE unique_claims (
    digest   BLOB NOT NULL PRIMARY KEY CHECK (length(digest) = 32),
    offer_id TEXT NOT NULL REFERENCES offers (offer_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX unique_claims_by_offer ON unique_claims (offer_id);
