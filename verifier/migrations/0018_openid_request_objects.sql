-- The request object of the OpenID4VP wire is signed once and served again; objects for a wallet's nonce are counted.
ALTER TABLE openid_exchanges ADD COLUMN request_object TEXT;
-- Client id of a request that nobody signs; NULL: the verifier's own.
ALTER TABLE openid_exchanges ADD COLUMN client_id TEXT;
ALTER TABLE openid_exchanges ADD COLUMN nonce_objects INTEGER NOT NULL DEFAULT 0;

DROP TRIGGER openid_keys_end;
CREATE TRIGGER openid_keys_end AFTER UPDATE OF nonce ON requests WHEN NEW.nonce = ''
BEGIN
    UPDATE openid_exchanges SET encryption_key = x'', ephemeral_keys = '', request_object = NULL
    WHERE request = NEW.number;
END;
