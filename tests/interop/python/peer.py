"""Answers calls on standard input, one JSON object a line: {"verb", ...arguments} to {"result"} or {"error"}."""

import base64
import json
import sys
from importlib.metadata import version


def serve(packages, verbs):
    """Serves these verbs until standard input ends. Standard output has nothing but the answers."""
    verbs = {"versions": lambda: [[name, version(name)] for name in packages], **verbs}
    answers, sys.stdout = sys.stdout, sys.stderr
    for line in sys.stdin:
        call = json.loads(line)
        verb = verbs[call.pop("verb")]
        try:
            answer = {"result": verb(**call)}
        except Exception as error:  # The library's refusal, of whatever class, is the answer.
            answer = {"error": f"{type(error).__name__}: {error}"[:2000]}
        print(json.dumps(answer), file=answers, flush=True)


def did_jwk(jwk):
    """The DID of a public key, and the id of its verification method."""
    did = "did:jwk:" + base64.urlsafe_b64encode(json.dumps(jwk).encode()).decode().rstrip("=")
    return did, f"{did}#0"
