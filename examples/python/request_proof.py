#!/usr/bin/env python3
"""Asks for proof over gRPC and reads the result: all that an agency's own software needs.

    python3 -m venv venv && venv/bin/pip install -r requirements.txt
    venv/bin/python request_proof.py --server http://127.0.0.1:7402 --token-file staff-token job-right-to-work

The client is made from the .proto files when it starts; nothing generated is kept.
Prints one JSON object: the request's id, the link for the holder, and the state.
With --wait it waits until the holder has answered, and the exit code is 0 only if the proof was accepted.
"""

import argparse
import importlib
import json
import pathlib
import sys
import tempfile
import uuid

import grpc
from grpc_tools import protoc

PROTO = pathlib.Path(__file__).resolve().parents[2] / "proto"


def client_modules():
    """Compiles verifier.proto into a temporary folder and imports what came out."""
    out = tempfile.mkdtemp(prefix="carnet-proto-")
    well_known = pathlib.Path(protoc.__file__).parent / "_proto"
    arguments = ["", f"-I{PROTO}", f"-I{well_known}", f"--python_out={out}", f"--grpc_python_out={out}"]
    if protoc.main([*arguments, "carnet/verifier/v1/verifier.proto"]) != 0:
        sys.exit("the .proto files did not compile")
    sys.path.insert(0, out)
    messages = importlib.import_module("carnet.verifier.v1.verifier_pb2")
    return messages, importlib.import_module("carnet.verifier.v1.verifier_pb2_grpc")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("template", help="the request template, such as job-right-to-work")
    parser.add_argument("--server", default="http://127.0.0.1:7402")
    parser.add_argument("--token-file", type=pathlib.Path, required=True)
    parser.add_argument("--wait", action="store_true", help="wait until the holder has answered")
    arguments = parser.parse_args()

    messages, services = client_modules()
    metadata = [("authorization", "Bearer " + arguments.token_file.read_text().strip())]
    channel = grpc.insecure_channel(arguments.server.removeprefix("http://"))
    verifier = services.VerificationServiceStub(channel)
    try:
        request = messages.CreateRequestRequest(request_id=str(uuid.uuid4()), template=arguments.template)
        created = verifier.CreateRequest(request, metadata=metadata, timeout=10)
        result = verifier.ReadResult(messages.ReadResultRequest(id=created.id), metadata=metadata, timeout=10).result
        if arguments.wait:
            print(created.request_uri, file=sys.stderr)
            for update in verifier.WatchResult(messages.WatchResultRequest(id=created.id), metadata=metadata):
                result = update.result
    except grpc.RpcError as error:
        sys.exit(f"{error.code().name}: {error.details()}")
    state = messages.RequestState.Name(result.state).removeprefix("REQUEST_STATE_").lower()
    print(json.dumps({"id": created.id, "request_uri": created.request_uri, "state": state}))
    sys.exit(0 if state == "accepted" or not arguments.wait else 1)


if __name__ == "__main__":
    main()
