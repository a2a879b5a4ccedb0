"""Servers as processes of their own: started on what they serve, waited for, and gone when the caller is."""

import contextlib
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

import tritonclient.grpc as grpc
from tritonclient.utils import InferenceServerException

START_S = 300
END_S = 30


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def triton(export, home, port, scratch):
    packages = next((home / "lib").glob("python3.*")) / "site-packages"
    server = packages / "pytriton/tritonserver"
    backend = pathlib.Path(scratch) / "python"
    shutil.copytree(server / "backends/python", backend)
    version = packages.parent.name.removeprefix("python")
    shutil.copy(server / f"python_backend_stubs/{version}/triton_python_backend_stub", backend)
    # The stub runs Python isolated, deaf to PYTHONPATH: packages must lie where it looks, and that is its own folder.
    for package in packages.iterdir():
        if not (backend / package.name).exists():
            (backend / package.name).symlink_to(package)
    flags = {"model-repository": export, "backend-directory": scratch, "grpc-address": "127.0.0.1", "grpc-port": port,
             "http-port": free_port(), "metrics-port": free_port(), "allow-gpu-metrics": "false", "exit-timeout-secs": 5}
    command = [server / "bin/tritonserver", *(f"--{key}={value}" for key, value in flags.items())]
    return command, {"LD_LIBRARY_PATH": packages / "nvidia_pytriton.libs"}


def mlserver(export, home, port, scratch):
    variables = {"MLSERVER_HOST": "127.0.0.1", "MLSERVER_GRPC_PORT": port, "MLSERVER_HTTP_PORT": free_port(),
                 "MLSERVER_METRICS_PORT": free_port()}
    return [home / "bin/mlserver", "start", export], variables


def kserve(export, home, port, scratch):
    return [home / "bin/python", export / "serve.py", f"--grpc_port={port}", f"--http_port={free_port()}"], {}


def ours(bundle, offramp, port, scratch):
    return [offramp, "serve", bundle, f"--listen=127.0.0.1:{port}", "--backend=ort", "--threads=1"], {}


PEERS = {peer.__name__: peer for peer in (triton, mlserver, kserve, ours)}


@contextlib.contextmanager
def serving(peer, served, home, models):
    """The address of `peer` once it serves `models`; `served` is an export, for ours a bundle, and `home` the peer's
    virtual environment, for ours the program. With what it and its children have said, if anything goes wrong."""
    # A caller that is told to end ends the server first.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with tempfile.TemporaryDirectory() as scratch, open(os.path.join(scratch, "log"), "w+") as log:
        port = free_port()
        command, variables = PEERS[peer](pathlib.Path(served).resolve(), pathlib.Path(home).resolve(), port, scratch)
        environment = os.environ | {key: str(value) for key, value in variables.items()}
        process = subprocess.Popen(
            list(map(str, command)), env=environment, stdout=log, stderr=log, start_new_session=True)
        try:
            wait(peer, f"127.0.0.1:{port}", process, models)
            yield f"127.0.0.1:{port}", process
        except BaseException:
            log.seek(0)
            sys.stderr.write(log.read()[-8000:])
            raise
        finally:
            end(process)


def wait(peer, address, process, models):
    client, until = grpc.InferenceServerClient(address), time.monotonic() + START_S
    while process.poll() is None:
        with contextlib.suppress(InferenceServerException):
            if client.is_server_ready() and all(client.is_model_ready(model) for model in models):
                return
        if time.monotonic() > until:
            raise SystemExit(f"{peer} is not ready after {START_S} s")
        time.sleep(0.1)
    raise SystemExit(f"{peer} ended with status {process.returncode} before it was ready")


def end(process):
    """Ends a server with all of its children."""
    for told in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, told)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=END_S)
    # The first among them is gone; what it started may not be.
