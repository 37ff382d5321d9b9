-- Refills: a wallet shows one copy and gets new ones of the same offer.

-- Which copy it is, known again by its holder's key: the key's SHA-256 thumbprint (RFC 7638) in base64url. NULL for copies of
-- before, for those that were never signed, and once the credential's time is over.
ALTER TABLE issued ADD COLUMN holder_thumbprint TEXT;
-- Only of what was signed: after a power cut a wallet may ask again with the same keys.
CREATE UNIQUE INDEX issued_by_holder ON issued (holder_thumbprint) WHERE issued_at IS NOT NULL;

ALTER TABLE collections ADD COLUMN refill INTEGER NOT NULL DEFAULT 0 CHECK (refill IN (0, 1));

CREATE INDEX offers_by_end ON offers (valid_until);
