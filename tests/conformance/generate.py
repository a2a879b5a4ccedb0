"""Writes the conformance suite, or checks that the committed files are what the generators make.

    python generate.py            writes networks/ and refused/
    python generate.py --check    status 1 where a file differs, is missing or is left over
    python generate.py --only residual --only dense
"""

import argparse
import os
import pathlib
import sys
import tempfile

os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import numpy as np
import onnx
import onnxruntime

from generators import attention, constants, convolutional, files, interfaces, reference, refused

HERE = pathlib.Path(__file__).resolve().parent
NETWORKS = [case for module in (convolutional, attention, constants, interfaces) for case in module.CASES]
# float32 against float64 through at most 60 layers of logits of the order of one: a few hundred rounding errors.
ABSOLUTE, RELATIVE = 2e-5, 1e-4
SMALL_BYTES = 60_000


def network_files(net):
    """Files of one accepted case, by name."""
    model = net.model()
    onnx.checker.check_model(model, full_check=net.opset > 9)
    image_name = net.inputs[0][0]
    logits = [tensor for _, tensor in net.exits]
    expected = reference.evaluate(model, net.image, logits)
    facts = reference.Facts(model, image_name, net.image, logits)
    assert facts.order == logits, f"{net.name}: depth order is {facts.order}, declared {logits}"
    assert facts.cuts() == net.claimed_cuts, f"{net.name}: cuts are {facts.cuts()}, claimed {net.claimed_cuts}"
    check_liveliness(net, expected)

    arrays = {image_name: net.image}
    arrays |= {name: expected[tensor].astype(np.float32) for name, tensor in net.exits}
    made = {}
    if net.external:
        location = f"{net.name}.onnx.data"
        made[location] = files.move_weights_out(model, location)
    made[f"{net.name}.onnx"] = files.model_bytes(model)
    made[f"{net.name}.npz"] = files.npz_bytes(arrays)
    made[f"{net.name}.json"] = files.json_bytes(described(net, facts))
    check_against_runtime(net, made, arrays)
    assert sum(map(len, made.values())) <= SMALL_BYTES, f"{net.name}: {sum(map(len, made.values()))} bytes"
    return made


def described(net, facts):
    name, dtype, extents = net.inputs[0]
    batch = None if net.batch == "batch" else net.batch
    exits = [
        {"name": name, "logits": tensor, "macs": facts.macs(index), "params": facts.params(index)}
        for index, (name, tensor) in enumerate(net.exits)
    ]
    cuts = [
        {"tensors": tensors, "count": len(tensors), "image": image, "bytes_per_image": facts.bytes_per_image(tensors)}
        for tensors, image in net.claimed_cuts
    ]
    return {
        "schema_version": 1,
        "case": net.name,
        "claim": net.claim,
        "notes": net.notes,
        "opset": net.opset,
        "input": {"name": name, "dtype": np.dtype(dtype).name, "shape": [batch, *extents], "layout": net.layout},
        "classes": net.classes,
        "exits": exits,
        "cuts": cuts,
        "reference": reference.definition(net.model()),
        "tolerance": {"absolute": ABSOLUTE, "relative": RELATIVE},
    }


def check_liveliness(net, expected):
    """A dead network would agree with anything: logits differ between images, between classes and between exits."""
    values = [expected[tensor] for _, tensor in net.exits]
    for (name, _), value in zip(net.exits, values):
        assert value.shape == (3, net.classes) and np.isfinite(value).all(), f"{net.name}: {name} is {value.shape}"
        assert value.std(axis=1).min() > 0.05, f"{net.name}: {name} does not tell classes apart"
        assert value.std(axis=0).max() > 1e-3, f"{net.name}: {name} does not tell images apart"
        assert abs(value).max() < 50, f"{net.name}: {name} reaches {abs(value).max()}"
    for earlier, later in zip(values, values[1:]):
        assert abs(earlier - later).max() > 0.05, f"{net.name}: two exits agree"


def check_against_runtime(net, made, arrays):
    """ONNX Runtime, without and with its optimisations, agrees with the reference."""
    with tempfile.TemporaryDirectory() as folder:
        for name, data in made.items():
            pathlib.Path(folder, name).write_bytes(data)
        model = onnx.load(pathlib.Path(folder, f"{net.name}.onnx"), load_external_data=False)
        declared = {o.name for o in model.graph.output}
        for name, tensor in net.exits:
            if tensor not in declared:
                model.graph.output.append(onnx.helper.make_empty_tensor_value_info(tensor))
        path = pathlib.Path(folder, "observed.onnx")
        path.write_bytes(files.model_bytes(model))
        for level in (onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL, onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL):
            options = onnxruntime.SessionOptions()
            options.graph_optimization_level, options.log_severity_level = level, 3
            options.intra_op_num_threads = 1
            session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
            image = arrays[net.inputs[0][0]]
            pieces = [image] if net.batch == "batch" else np.split(image, len(image))
            runs = [session.run([t for _, t in net.exits], {net.inputs[0][0]: piece}) for piece in pieces]
            for (name, _), parts in zip(net.exits, zip(*runs)):
                np.testing.assert_allclose(
                    np.concatenate(parts), arrays[name], atol=ABSOLUTE, rtol=RELATIVE, err_msg=f"{net.name} {name}"
                )


def refusal_files(case):
    """Files of one refused case, by name."""
    record = {
        "schema_version": 1, "case": case.name, "claim": case.claim, "reason": case.reason,
        "refused_by": case.refused_by, "names": case.words,
    }
    made = {f"{case.name}{suffix}": data for suffix, data in case.files.items()}
    return made | {f"{case.name}.json": files.json_bytes(record)}


def wanted(only):
    """Every file of the suite, by path below this folder."""
    made = {}
    for make in NETWORKS:
        net = make()
        if not only or net.name in only:
            made |= {f"networks/{name}": data for name, data in network_files(net).items()}
    for make in refused.CASES:
        case = make()
        if not only or case.name in only:
            made |= {f"refused/{name}": data for name, data in refusal_files(case).items()}
    return made


def differences(made, only):
    """What the committed files lack, hold differently or hold too much, and cases without a row in the README."""
    found = []
    for path, data in made.items():
        file = HERE / path
        if not file.is_file():
            found.append(f"{path} is missing")
        elif file.read_bytes() != data:
            found.append(f"{path} differs")
    listed = (HERE / "README.md").read_text()
    cases = [pathlib.PurePath(path).stem for path in made if path.endswith(".json")]
    found += [f"README.md has no row for {case}" for case in cases if f"| `{case}` |" not in listed]
    if not only:
        kept = [p.relative_to(HERE).as_posix() for room in ("networks", "refused") for p in (HERE / room).glob("*")]
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
        file = HERE / path
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(data)
    print(f"{len(made)} files written")
    return 0


if __name__ == "__main__":
    sys.exit(main())
