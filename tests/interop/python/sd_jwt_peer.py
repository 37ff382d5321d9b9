"""sd-jwt, the reference implementation of RFC 9901: verifies with the published key, issues and presents."""

import json
import urllib.request

from jwcrypto.jwk import JWK
from sd_jwt.common import SDObj
from sd_jwt.holder import SDJWTHolder
from sd_jwt.issuer import SDJWTIssuer
from sd_jwt.verifier import SDJWTVerifier

from peer import did_jwk, serve

ISSUER, HOLDER = JWK.generate(kty="EC", crv="P-256"), JWK.generate(kty="EC", crv="P-256")
DID, METHOD = did_jwk(ISSUER.export_public(as_dict=True))


def verify(credential, service, nonce=None, audience=None):
    """Verifies a credential, or a presentation with its key binding; returns the claims."""
    def published(_issuer, header):
        with urllib.request.urlopen(f"{service}/.well-known/jwt-vc-issuer", timeout=30) as response:
            keys = json.load(response)["jwks"]["keys"]
        return JWK(**next(key for key in keys if key["kid"] == header["kid"]))

    verifier = SDJWTVerifier(credential, published, audience, nonce)
    return {"claims": verifier.get_verified_payload()}


def issue(claims, disclosable):
    hidden = {SDObj(name) if name in disclosable else name: value for name, value in {"iss": DID, **claims}.items()}
    header = {"typ": "dc+sd-jwt", "kid": METHOD}
    issued = SDJWTIssuer(hidden, ISSUER, HOLDER, sign_alg="ES256", extra_header_parameters=header)
    return {"issuer": DID, "credential": issued.sd_jwt_issuance}


def present(credential, disclose, nonce, audience):
    holder = SDJWTHolder(credential)
    holder.create_presentation({name: True for name in disclose}, nonce, audience, HOLDER, "ES256")
    return holder.sd_jwt_presentation


serve(["sd-jwt", "jwcrypto"], {"verify": verify, "issue": issue, "present": present})
