"""Writes the gradient cases of the conformance suite, or checks that the committed files are what the generators make.

    python generate_gradients.py            writes gradients/
    python generate_gradients.py --check    status 1 where a file differs, is missing or is left over
    python generate_gradients.py --only relu --only residual
"""

import argparse
import os
import pathlib
import sys

os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import numpy as np
import onnx
import onnxruntime
import torch

from generators import files
from generators.gradients import activations, arithmetic, convolutions, networks, pools, refused, shapes

HERE = pathlib.Path(__file__).resolve().parent
ROOM = HERE / "gradients"
OPERATORS = [convolutions, activations, arithmetic, pools, shapes]
REFERENCE = "torch.autograd, float64"
# Forward results of ONNX Runtime, float32, against PyTorch's, float64.
ABSOLUTE, RELATIVE = 2e-5, 1e-4
LARGEST_BYTES = 40_000


def case_files(kind, case):
    """Files and index entry of one case."""
    image = case.image()
    logits, cotangents, gradient = case.differentiate(image)
    net = case.net
    net.classes = logits[0].shape[1]
    names = [tensor for _, tensor in net.exits]
    model = net.model()
    onnx.checker.check_model(model, full_check=net.opset > 9)
    check_forward(case, model, image, names, logits)
    assert np.isfinite(gradient).all() and 1e-2 < abs(gradient).max() < 1e3, f"{case.name}: {abs(gradient).max()}"

    arrays = {"image": image}
    arrays |= {f"cotangent.{name}": c for name, c in zip(names, cotangents)}
    arrays["gradient.image"] = gradient.astype(np.float32)
    if kind == "networks":
        arrays |= {name: row.astype(np.float32) for name, row in zip(names, logits)}
    made = {f"{kind}/{case.name}.onnx": files.model_bytes(model), f"{kind}/{case.name}.npz": files.npz_bytes(arrays)}
    assert sum(map(len, made.values())) <= LARGEST_BYTES, f"{case.name}: {sum(map(len, made.values()))} bytes"
    entry = {
        "case": case.name, "kind": kind, "claim": net.claim, "opset": net.opset,
        "images": len(image), "logits": names, "at_kink": case.margin is None,
    }
    return made, entry


def check_forward(case, model, image, names, logits):
    """ONNX Runtime, without and with its optimisations, computes what PyTorch does: both sides are one function."""
    observed = onnx.ModelProto()
    observed.CopyFrom(model)
    declared = {output.name for output in observed.graph.output}
    for name in names:
        if name not in declared:
            observed.graph.output.append(onnx.helper.make_empty_tensor_value_info(name))
    for level in (onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL, onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL):
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level, options.log_severity_level = level, 3
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(files.model_bytes(observed), options, providers=["CPUExecutionProvider"])
        for name, found, expected in zip(names, session.run(names, {"image": image}), logits):
            np.testing.assert_allclose(found, expected, atol=ABSOLUTE, rtol=RELATIVE, err_msg=f"{case.name} {name}")


def wanted(only):
    """Every file, by path below the room, and the index."""
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    cases = [("operators", case) for module in OPERATORS for case in module.cases()]
    cases += [("networks", case) for case in networks.cases()]
    made, index, seen = {}, [], set()
    for kind, case in cases:
        assert (kind, case.name) not in seen, f"{case.name} is there twice"
        seen.add((kind, case.name))
        if not only or case.name in only:
            written, entry = case_files(kind, case)
            made |= written
            index.append(entry)
    for case in refused.cases():
        if not only or case.net.name in only:
            model = case.net.model()
            onnx.checker.check_model(model, full_check=True)
            made[f"refused/{case.net.name}.onnx"] = files.model_bytes(model)
            index.append({
                "case": case.net.name, "kind": "refused", "claim": case.net.claim, "opset": case.net.opset, "names": case.words,
            })
    if not only:
        made["cases.json"] = files.json_bytes({"schema_version": 1, "reference": REFERENCE, "cases": index})
    return made


def differences(made, only):
    """What the committed files lack, hold differently or hold too much, and networks without a row in the README."""
    found = []
    for path, data in made.items():
        file = ROOM / path
        if not file.is_file():
            found.append(f"{path} is missing")
        elif file.read_bytes() != data:
            found.append(f"{path} differs")
    listed = (HERE / "README.md").read_text()
    cases = [pathlib.PurePath(path).stem for path in made if path.startswith(("networks/", "refused/"))]
    found += [f"README.md has no row for {case}" for case in cases if f"| `{case}` |" not in listed]
    if not only:
        kept = [p.relative_to(ROOM).as_posix() for p in ROOM.rglob("*") if p.is_file()]
        found += [f"{path} is left over" for path in kept if path not in made]
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    parser.add_argument("--only", action="append", default=[], metavar="CASE")
    arguments = parser.parse_args()
    made = wanted(arguments.only)
    if arguments.check:
        found = differences(made, arguments.only)
        print("\n".join(found) or f"{len(made)} files are as generated")
        return 1 if found else 0
    for path, data in made.items():
        file = ROOM / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    print(f"{len(made)} files written, {sum(map(len, made.values()))} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
