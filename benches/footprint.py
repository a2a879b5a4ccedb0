#!/usr/bin/env python3
"""Peak memory of a split network against the whole one, and the size of the edge binary.

    python3 benches/footprint.py --offramp target/release/offramp --model MODEL.onnx --input DATA [--final exit6]

Both run all images to the final exit on one thread, in turns; the figures are medians of peak resident sets. Needs only Python.
"""
import argparse
import os
import pathlib
import statistics
import subprocess
import tempfile


def peak_mib(command):
    """Peak resident set of one process in MiB, as wait4 tells it."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    errors = process.stderr.read().decode()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command)}\n{errors}")
    return usage.ru_maxrss / 1024


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--offramp", required=True)
    arguments.add_argument("--model", required=True)
    arguments.add_argument("--input", required=True)
    arguments.add_argument("--final", default="exit6", help="the final exit's output")
    arguments.add_argument("--limit", default="100")
    arguments.add_argument("--rounds", type=int, default=5)
    options = arguments.parse_args()

    size = pathlib.Path(options.offramp).stat().st_size / 1e6
    print(f"| {options.offramp} | {size:.1f} MB |")
    with tempfile.TemporaryDirectory() as folder:
        bundle, whole = f"{folder}/bundle", f"{folder}/whole"
        quiet = {"check": True, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        subprocess.run([options.offramp, "split", options.model, "-o", bundle], **quiet)
        subprocess.run([options.offramp, "split", options.model, "-o", whole, "--static", "--exit", options.final], **quiet)
        print("\n| backend | split MiB | whole MiB | ratio |\n|---|---|---|---|")
        for backend in ("ort", "tract"):
            run = [options.offramp, "run", "--input", options.input, "--limit", options.limit, "--backend", backend]
            run += ["--threads", "1", "--json"]
            final = ["--thresholds=" + ",".join(["1"] * 6)]
            split_run, whole_run = run + [bundle] + final, run + [whole, "--exit", "0"]
            for command in (split_run, whole_run):
                subprocess.run(command, **quiet)
            pairs = [(peak_mib(split_run), peak_mib(whole_run)) for _ in range(options.rounds)]
            split_mib, whole_mib = (statistics.median(column) for column in zip(*pairs))
            print(f"| {backend} | {split_mib:.1f} | {whole_mib:.1f} | {split_mib / whole_mib:.3f} |")


if __name__ == "__main__":
    main()
