-- Redemptions that a wallet can repeat when it lost the answer.

-- The digest of the challenge that came with the redemption; NULL where there was none, and then the code works once.
ALTER TABLE offers ADD COLUMN challenge_hash BLOB;
-- What the access token follows from, beside the code and the challenge, neither of which is stored.
ALTER TABLE offers ADD COLUMN token_salt BLOB;
-- Wrong verifiers, and wrong PINs beside the right one, since it was redeemed.
ALTER TABLE offers ADD COLUMN repeat_failures INTEGER NOT NULL DEFAULT 0;
