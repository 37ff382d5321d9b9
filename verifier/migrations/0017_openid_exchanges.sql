-- What a request needs besides on the OpenID4VP wire, from the first time that its object is fetched there.
CREATE TABLE openid_exchanges (
    request        INTEGER PRIMARY KEY REFERENCES requests (number) ON DELETE CASCADE,
    -- Secret P-256 key that responses are encrypted to. Erased, like ephemeral_keys, once the request can no longer be
    -- answered.
    encryption_key BLOB NOT NULL,
    -- Thumbprints of the keys that senders agreed with, separated by spaces: none is taken twice.
    ephemeral_keys TEXT NOT NULL DEFAULT '',
    -- SHA-256 of the response code; NULL until an answer is accepted and leads back to the asker's site.
    response_code  BLOB CHECK (response_code IS NULL OR length(response_code) = 32)
) STRICT;

CREATE TRIGGER openid_keys_end AFTER UPDATE OF nonce ON requests WHEN NEW.nonce = ''
BEGIN
    UPDATE openid_exchanges SET encryption_key = x'', ephemeral_keys = '' WHERE request = NEW.number;
END;
