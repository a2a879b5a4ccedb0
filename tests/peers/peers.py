"""Real servers answer as the segments do: starts a peer on what it serves, asks every tail over gRPC with the reference
client at batches 1, 3 and 32 and by 8 clients at once, and compares with reference logits. Appends a JSON line per tail and
batch to ROWS. Status 1 if an answer is further off than 1e-4 of the largest logit, or of 1, or has another label in uint8.

    python peers.py triton|mlserver|kserve|ours SERVED REFERENCE --home HOME --network NAME --rows ROWS

SERVED is an export, HOME the peer's virtual environment; for `ours` a bundle and the program.
"""

import argparse
import concurrent.futures
import json
import pathlib
import sys

import numpy
import tritonclient.grpc as grpc
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

import servers

TOLERANCE = 1e-4
BATCHES = (1, 3, 32)
CLIENTS = 8
DATATYPES = {"float32": "FP32", "uint8": "UINT8"}


def request(reference, images):
    inputs = []
    for at, name in enumerate(reference["inputs"]):
        array = numpy.ascontiguousarray(reference[f"input{at}"][images])
        inputs.append(grpc.InferInput(str(name), list(array.shape), np_to_triton_dtype(array.dtype)))
        inputs[-1].set_data_from_numpy(array)
    return inputs


def ask(address, model, reference, images):
    """How far the answer for these images is from the reference, labels, and how many of them are the reference's."""
    with grpc.InferenceServerClient(address) as client:
        answer = client.infer(model, request(reference, images), client_timeout=60)
    worst, labels, agree = 0.0, 0, 0
    for at, name in enumerate(reference["outputs"]):
        expected, found = reference[f"logits{at}"][images], answer.as_numpy(str(name))
        assert found.shape == expected.shape, f"{model}: {name} has shape {found.shape}, expected {expected.shape}"
        assert numpy.isfinite(found).all(), f"{model}: {name} is not finite"
        worst = max(worst, float(numpy.abs(found - expected).max() / max(1.0, numpy.abs(expected).max())))
        same = found.argmax(axis=1) == expected.argmax(axis=1)
        labels, agree = labels + same.size, agree + int(same.sum())
    return worst, labels, agree


def answers(address, tail, reference):
    """What `ask` says, by batch."""
    fixed = tail["inputs"][0]["shape"][0]
    if fixed is not None:
        yield str(fixed), ask(address, tail["name"], reference, slice(None))
        return
    for batch in BATCHES:
        yield str(batch), ask(address, tail["name"], reference, slice(batch))
    with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
        one = [slice(image, image + 1) for image in range(4 * CLIENTS)]
        worst, labels, agree = zip(*pool.map(lambda image: ask(address, tail["name"], reference, image), one))
        yield f"{CLIENTS} x 1", (max(worst), sum(labels), sum(agree))


def check_described(client, peer, tail):
    """A peer's metadata says what the export says, if anything."""
    assert client.is_server_live() and client.is_server_ready() and client.is_model_ready(tail["name"])
    said = client.get_model_metadata(tail["name"])
    assert said.name == tail["name"], said.name
    for found, expected in ((said.inputs, tail["inputs"]), (said.outputs, tail["outputs"])):
        if not found and peer != "ours":
            continue
        found = {tensor.name: (tensor.datatype, list(tensor.shape)) for tensor in found}
        shape = lambda tensor: [-1 if extent is None else extent for extent in tensor["shape"]]
        expected = {tensor["name"]: (DATATYPES[tensor["dtype"]], shape(tensor)) for tensor in expected}
        assert found == expected, f"{peer} describes {tail['name']} as {found}, expected {expected}"


def check_refused(client, tail, reference):
    """What our server does with what it need not take."""
    def refused(model, inputs, **flags):
        try:
            client.infer(model, inputs, client_timeout=60, **flags)
        except InferenceServerException as error:
            return error.status().removeprefix("StatusCode.")
        return "OK"

    good = request(reference, slice(None))
    odd = grpc.InferInput(good[0].name(), [1, 1], good[0].datatype())
    odd.set_data_from_numpy(reference["input0"].reshape(-1)[:1].reshape(1, 1))
    large = grpc.InferInput(good[0].name(), [8 << 20], "UINT8")
    large.set_data_from_numpy(numpy.zeros(8 << 20, numpy.uint8))
    found = {
        "gzip": refused(tail["name"], good, compression_algorithm="gzip"),
        "unknown model": refused(tail["name"] + "x", good),
        "unknown version": refused(tail["name"], good, model_version="7"),
        "wrong shape": refused(tail["name"], [odd, *good[1:]]),
        "8 MiB": refused(tail["name"], [large]),
    }
    expected = {"gzip": "OK", "unknown model": "NOT_FOUND", "unknown version": "NOT_FOUND",
                "wrong shape": "INVALID_ARGUMENT", "8 MiB": "RESOURCE_EXHAUSTED"}
    assert found == expected, f"{found}, expected {expected}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("peer", choices=servers.PEERS)
    parser.add_argument("served", type=pathlib.Path)
    parser.add_argument("reference", type=pathlib.Path)
    parser.add_argument("--home", type=pathlib.Path, required=True)
    parser.add_argument("--network", required=True)
    parser.add_argument("--rows", type=pathlib.Path, required=True)
    arguments = parser.parse_args()
    peer, tails = arguments.peer, json.loads((arguments.reference / "tails.json").read_text())
    if peer != "ours":
        exported = json.loads((arguments.served / "export.json").read_text())["tails"]
        assert exported == tails, f"{arguments.served} exports other tails than the reference is of"
    holds = True
    with servers.serving(peer, arguments.served, arguments.home, [tail["name"] for tail in tails]) as (address, _), \
            grpc.InferenceServerClient(address) as client, arguments.rows.open("a") as rows:
        for tail in tails:
            reference = dict(numpy.load(arguments.reference / f"{tail['name']}.npz"))
            check_described(client, peer, tail)
            if peer == "ours":
                check_refused(client, tail, reference)
            for batch, (difference, labels, agree) in answers(address, tail, reference):
                row = {"peer": peer, "network": arguments.network, "wire": tail["wire"], "cut": tail["cut"],
                       "batch": batch, "difference": difference, "labels": labels, "agree": agree}
                print(json.dumps(row), file=rows, flush=True)
                if difference > TOLERANCE or (tail["wire"] == "u8" and agree < labels):
                    holds = False
                    print(f"does not hold: {json.dumps(row)}", file=sys.stderr)
    raise SystemExit(0 if holds else 1)


if __name__ == "__main__":
    main()
