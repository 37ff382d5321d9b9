"""openvc-core: verifies with its whole pipeline (DID document, signature, status list), issues and presents."""

import json
import os
import ssl
import urllib.request
from base64 import urlsafe_b64decode

from cryptography.hazmat.primitives.asymmetric import ec
from openvc.did.base import DidResolverRegistry
from openvc.did.did_jwk import DidJwkResolver
from openvc.did.did_key import DidKeyResolver
from openvc.did.did_web import DidWebResolver
from openvc.keys import P256SigningKey
from openvc.openid4vp import verify_vp_token
from openvc.proof._jws import parse_compact
from openvc.proof.sd_jwt import SdJwtVcProofSuite
from openvc.resolvers import default_status_list_resolver
from openvc.status import verify_status_list_token
from openvc.verify import VerificationPolicy, verify_credential

from peer import did_jwk, serve

# Its own fetch refuses loopback addresses; the sites of the tests are there, under a certificate authority of theirs.
TLS = ssl.create_default_context(cafile=os.environ["SSL_CERT_FILE"])


def fetch(url):
    with urllib.request.urlopen(url, context=TLS, timeout=30) as response:
        return response.read().decode()


RESOLVER = DidResolverRegistry([DidKeyResolver(), DidJwkResolver(), DidWebResolver(lambda url: json.loads(fetch(url)))])


def status_list_token(uri):
    """Fetches and verifies a status list token by the key of its `kid`. The library's own resolver demands an `iss`,
    which the Token Status List does not have."""
    token = fetch(uri).strip()
    kid = parse_compact(token)[0]["kid"]
    key = RESOLVER.resolve(kid.split("#")[0]).key_by_kid(kid)
    return verify_status_list_token(token, public_key_jwk=key.public_key_jwk, expected_uri=uri)


LISTS = {
    "resolve_status_list": default_status_list_resolver(resolver=RESOLVER, fetch=fetch),
    "resolve_status_list_token": status_list_token,
}
SUITE = SdJwtVcProofSuite()
PRIVATE = ec.generate_private_key(ec.SECP256R1())
DID, METHOD = did_jwk(P256SigningKey(PRIVATE, kid="").public_jwk())
ISSUER, HOLDER = P256SigningKey(PRIVATE, kid=METHOD), P256SigningKey.generate(kid="holder")


def verify(credential, service=None, nonce=None, audience=None):
    """Verifies a credential, or a presentation with its key binding; returns the claims. The key is that of the DID."""
    policy = VerificationPolicy(audience=audience, nonce=nonce, require_key_binding=nonce is not None)
    credential = credential if "~" in credential else json.loads(credential)
    result = verify_credential(credential, policy=policy, resolver=RESOLVER, **LISTS)
    return {"format": result.format, "issuer": result.issuer, "claims": result.credential, "status": str(result.status)}


def verify_response(presentation, query, nonce, audience):
    """Verifies a presentation as the answer to a DCQL query."""
    first = query["credentials"][0]["id"]
    result = verify_vp_token(
        {first: [presentation]}, dcql_query=query, nonce=nonce, client_id=audience, resolver=RESOLVER,
        require_holder_binding=True, require_status=True, **LISTS,
    )
    return len(result.for_query(first))


def issue(claims, disclosable):
    credential = SUITE.issue(
        {"iss": DID, **claims}, signing_key=ISSUER, disclosable=disclosable, holder_jwk=HOLDER.public_jwk()
    )
    return {"issuer": DID, "credential": credential}


def present(credential, disclose, nonce, audience):
    """Presents these claims. The suite binds the disclosures that it is given."""
    jwt, *disclosures = credential.rstrip("~").split("~")
    kept = [part for part in disclosures if json.loads(urlsafe_b64decode(part + "=="))[1] in disclose]
    kept = "~".join([jwt, *kept, ""])
    return SUITE.create_presentation(kept, holder_key=HOLDER, audience=audience, nonce=nonce)


serve(["openvc-core", "cryptography"], {
    "verify": verify, "verify_response": verify_response, "issue": issue, "present": present,
})
