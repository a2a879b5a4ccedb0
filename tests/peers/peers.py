"""Real servers answer as the segments do: starts a peer on an export, asks every tail over gRPC at batches 1, 3 and 32 and by
8 clients at once, and compares with reference logits. One JSON line per tail; status 1 if an answer is further off than
1e-4 of the largest logit, or of 1.

    python peers.py triton|mlserver|kserve EXPORT REFERENCE --venv VENV
"""

import argparse
import concurrent.futures
import contextlib
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time

import numpy
import tritonclient.grpc as grpc
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

TOLERANCE = 1e-4
BATCHES = (1, 3, 32)
CLIENTS = 8
PATIENCE_S = 300


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def triton(export, venv, port, scratch):
    packages = next((venv / "lib").glob("python3.*")) / "site-packages"
    home = packages / "pytriton/tritonserver"
    backend = pathlib.Path(scratch) / "python"
    shutil.copytree(home / "backends/python", backend)
    version = packages.parent.name.removeprefix("python")
    shutil.copy(home / f"python_backend_stubs/{version}/triton_python_backend_stub", backend)
    # The stub runs Python isolated, deaf to PYTHONPATH: packages must lie where it looks, and that is its own folder.
    for package in packages.iterdir():
        if not (backend / package.name).exists():
            (backend / package.name).symlink_to(package)
    flags = {"model-repository": export, "backend-directory": scratch, "grpc-address": "127.0.0.1", "grpc-port": port,
             "http-port": free_port(), "metrics-port": free_port(), "allow-gpu-metrics": "false", "exit-timeout-secs": 5}
    command = [home / "bin/tritonserver", *(f"--{key}={value}" for key, value in flags.items())]
    return command, {"LD_LIBRARY_PATH": packages / "nvidia_pytriton.libs"}


def mlserver(export, venv, port, scratch):
    variables = {"MLSERVER_HOST": "127.0.0.1", "MLSERVER_GRPC_PORT": port, "MLSERVER_HTTP_PORT": free_port(),
                 "MLSERVER_METRICS_PORT": free_port()}
    return [venv / "bin/mlserver", "start", export], variables


def kserve(export, venv, port, scratch):
    return [venv / "bin/python", export / "serve.py", f"--grpc_port={port}", f"--http_port={free_port()}"], {}


@contextlib.contextmanager
def serving(peer, export, venv):
    with tempfile.TemporaryDirectory() as scratch, open(os.path.join(scratch, "log"), "w+") as log:
        port = free_port()
        command, variables = peer(export, venv, port, scratch)
        variables = {key: str(value) for key, value in variables.items()}
        process = subprocess.Popen(list(map(str, command)), env=os.environ | variables, stdout=log, stderr=log)
        try:
            yield f"127.0.0.1:{port}", process
        except BaseException:
            log.seek(0)
            sys.stderr.write(log.read()[-8000:])
            raise
        finally:
            process.terminate()
            process.wait(timeout=60)


def wait(address, process, models):
    client = grpc.InferenceServerClient(address)
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(InferenceServerException):
            if client.is_server_ready() and all(client.is_model_ready(model) for model in models):
                return
        time.sleep(0.2)
    raise SystemExit(f"the peer is not ready: status {process.poll()}")


def ask(address, model, reference, images):
    """How far the answer for these images is from the reference."""
    inputs = []
    for at, name in enumerate(reference["inputs"]):
        array = numpy.ascontiguousarray(reference[f"input{at}"][images])
        inputs.append(grpc.InferInput(str(name), list(array.shape), np_to_triton_dtype(array.dtype)))
        inputs[-1].set_data_from_numpy(array)
    answer = grpc.InferenceServerClient(address).infer(model, inputs, client_timeout=60)
    worst = 0.0
    for at, name in enumerate(reference["outputs"]):
        expected, found = reference[f"logits{at}"][images], answer.as_numpy(str(name))
        assert found.shape == expected.shape, f"{model}: {name} has shape {found.shape}, expected {expected.shape}"
        worst = max(worst, float(numpy.abs(found - expected).max() / max(1.0, numpy.abs(expected).max())))
    return worst


def differences(address, tail, reference):
    fixed = tail["inputs"][0]["shape"][0]
    if fixed is not None:
        return {str(fixed): ask(address, tail["name"], reference, slice(None))}
    found = {str(batch): ask(address, tail["name"], reference, slice(batch)) for batch in BATCHES}
    with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
        one = [slice(image, image + 1) for image in range(4 * CLIENTS)]
        found["at once"] = max(pool.map(lambda image: ask(address, tail["name"], reference, image), one))
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("peer", choices=("triton", "mlserver", "kserve"))
    parser.add_argument("export", type=pathlib.Path)
    parser.add_argument("reference", type=pathlib.Path)
    parser.add_argument("--venv", type=pathlib.Path, required=True)
    arguments = parser.parse_args()
    tails = json.loads((arguments.export / "export.json").read_text())["tails"]
    holds = True
    with serving(globals()[arguments.peer], arguments.export.resolve(), arguments.venv.resolve()) as (address, process):
        wait(address, process, [tail["name"] for tail in tails])
        for tail in tails:
            reference = dict(numpy.load(arguments.reference / f"{tail['name']}.npz"))
            found = differences(address, tail, reference)
            holds &= max(found.values()) <= TOLERANCE
            print(json.dumps({"peer": arguments.peer, "tail": tail["name"], "differences": found}), flush=True)
    raise SystemExit(0 if holds else 1)


if __name__ == "__main__":
    main()
