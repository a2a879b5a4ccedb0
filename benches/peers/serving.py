"""`offramp serve` beside Triton 2.51 on one tail, by one client in turns, as Markdown. Triton runs the tail on its Python backend,
the one that PyPI's wheel brings, through ONNX Runtime; both run it on one thread, with the same limits of batches and queues.
Client and servers share this machine. Wants what `scripts/peers triton` leaves in .peers/ and a release build.

    .peers/client/bin/python benches/peers/serving.py BUNDLE [--cut 1] [--wire f32] [--clients 16] [--seconds 2] [--rounds 5]
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "tests/peers"))

import servers

SESSION = "onnxruntime.InferenceSession(graph, providers"
ONE_THREAD = """        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
"""


def export(offramp, bundle, out):
    """The bundle's export for Triton, on one thread, and its list of tails."""
    command = [offramp, "export", "triton", bundle, out, "--platform", "python"]
    subprocess.run(list(map(str, command)), check=True, stdout=subprocess.DEVNULL)
    for path in out.glob("*/1/model.py"):
        code = path.read_text()
        before, after = code.split("        self.session = ")
        assert after.startswith(SESSION), path
        path.write_text(before + ONE_THREAD + "        self.session = " + after.replace(
            SESSION, "onnxruntime.InferenceSession(graph, options, providers", 1))
    return json.loads((out / "export.json").read_text())["tails"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=pathlib.Path)
    parser.add_argument("--offramp", type=pathlib.Path, default=pathlib.Path("target/release/offramp"))
    parser.add_argument("--triton", type=pathlib.Path, default=pathlib.Path(".peers/triton"))
    parser.add_argument("--cut", type=int, default=1)
    parser.add_argument("--wire", default="f32")
    for name, otherwise in (("clients", 16), ("seconds", 2), ("rounds", 5)):
        parser.add_argument(f"--{name}", type=int, default=otherwise)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        repository = pathlib.Path(scratch) / "models"
        tails = export(arguments.offramp, arguments.bundle, repository)
        names = [tail["name"] for tail in tails if (tail["cut"], tail["wire"]) == (arguments.cut, arguments.wire)]
        if len(names) != 1:
            raise SystemExit(f"{arguments.bundle} has no tail at cut {arguments.cut} in {arguments.wire}")
        with servers.serving("ours", arguments.bundle, arguments.offramp, names) as (ours, _), \
                servers.serving("triton", repository, arguments.triton, names) as (triton, _):
            print(f"{names[0]}: offramp at {ours}, Triton at {triton}", flush=True)
            numbers = map(str, (arguments.clients, arguments.seconds, arguments.rounds))
            bench = ["cargo", "bench", "--quiet", "--locked", "-p", "offramp-offload", "--bench", "load", "--"]
            status = subprocess.run([*bench, ours, names[0], "versus", triton, names[0], *numbers], cwd=HERE)
    raise SystemExit(status.returncode)


if __name__ == "__main__":
    main()
