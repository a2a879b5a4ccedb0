"""Compares ways to run one early-exit network: one machine, one interleaved run, batch 1. Prints Markdown.

    python compare.py BUNDLE --model MODEL.onnx --input DATA.npz --threshold 0.9 --offramp target/release/offramp
"""

import argparse
import os
import platform
import statistics
import sys
import time

os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import numpy as np
import onnxruntime
import torch

from peers import branches, bundle, eager, runtime, subject

BLOCK = 10
WARM_UP = 3
# float32 sums in another order move a confidence by about this much.
UNDECIDED = 1e-4


class Times:
    """Seconds of one peer in one mode, by image; and where each image stopped."""

    def __init__(self, images):
        self.seconds = [[] for _ in range(images)]
        self.answers = [None] * images

    def per_image(self):
        return [statistics.median(times) for times in self.seconds if times]

    def median(self):
        return statistics.median(self.per_image())

    def mean(self):
        return statistics.fmean(self.per_image())

    def at_exit(self, exit):
        times = [statistics.median(t) for t, answer in zip(self.seconds, self.answers) if t and answer[0] == exit]
        return statistics.median(times) if times else None


def interleave(peers, images, thresholds, rounds, between):
    """Runs blocks of images through every peer and mode in turn, starting with another one each time."""
    runs = [(peer, mode) for peer in peers for mode in thresholds]
    times = {(peer.title, mode): Times(len(images)) for peer, mode in runs}
    turn = 0
    for number in range(rounds):
        for start in range(0, len(images), BLOCK):
            block = range(start, min(start + BLOCK, len(images)))
            turn += 1
            for peer, mode in runs[turn % len(runs) :] + runs[: turn % len(runs)]:
                kept, threshold = times[peer.title, mode], thresholds[mode]
                for index in list(block)[:WARM_UP]:
                    peer.infer(images[index], threshold)
                for index in block:
                    begin = time.perf_counter()
                    answer = peer.infer(images[index], threshold)
                    kept.seconds[index].append(time.perf_counter() - begin)
                    kept.answers[index] = answer
        between(number)
        print(f"round {number + 1} of {rounds}", file=sys.stderr)
    return times


def disagreements(times, peers, whole, images, threshold):
    """Per peer: images whose exit or label differs, those too near the threshold to tell left out."""
    expected = [whole.decide(image, threshold) for image in images]
    found = {}
    for peer in peers:
        if peer is whole:
            continue
        answers = times[peer.title, "early"].answers
        found[peer.title] = [
            index for index, ((stop, label, margin), answer) in enumerate(zip(expected, answers))
            if answer != (stop, label) and margin > UNDECIDED
        ] + [
            index for index, (mine, answer) in enumerate(
                zip(times[whole.title, "final"].answers, times[peer.title, "final"].answers)
            ) if mine != answer
        ]
    counts = np.bincount([stop for stop, _, _ in expected], minlength=len(whole.values)).tolist()
    return found, counts, sum(margin <= UNDECIDED for _, _, margin in expected)


def ratio(value, base):
    return "—" if value is None else f"{value / base:.3f}"


def milliseconds(value):
    return "—" if value is None else f"{1e3 * value:.3f}"


def print_ratios(rows, base):
    print("| peer | final exit, median ms | ratio | early exit, median ms | ratio | early exit, mean ms | ratio |")
    print("|---|---|---|---|---|---|---|")
    for title, final, early, early_mean in rows:
        cells = [milliseconds(final), ratio(final, base[0]), milliseconds(early), ratio(early, base[0])]
        print(f"| {title} | {' | '.join(cells)} | {milliseconds(early_mean)} | {ratio(early_mean, base[1])} |")


def print_exits(rows, names, counts, base):
    print("\n| median ratio at exit | " + " | ".join(names) + " |")
    print("|---" * (len(names) + 1) + "|")
    print("| images | " + " | ".join(map(str, counts)) + " |")
    for title, values in rows:
        print(f"| {title} | " + " | ".join(ratio(value, base) for value in values) + " |")


def parsed_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", help="folder with manifest.json")
    parser.add_argument("--model", required=True, help="the model that the bundle was split from")
    parser.add_argument("--input", required=True, help="npz with x: images, uint8 or float32 in [0, 1]")
    parser.add_argument("--threshold", type=float, default=0.9, help="of max-softmax confidence")
    parser.add_argument("--limit", type=int, default=200, help="images")
    parser.add_argument("--rounds", type=int, default=5, help="times every image is run")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--offramp", help="path of the program; without it, it is left out")
    parser.add_argument("--backend", action="append", help="of offramp; may be given several times; ort by default")
    return parser.parse_args()


def main():
    arguments = parsed_arguments()
    split = bundle.Bundle(arguments.bundle)
    images = split.images(arguments.input, arguments.limit)
    kinds = (runtime.Whole, runtime.BoundLoop, runtime.PlainLoop, branches.If, eager.Eager)
    peers = [kind(split, arguments.model, arguments.threads) for kind in kinds]
    whole = peers[0]
    thresholds = {"early": arguments.threshold, "final": runtime.NEVER}

    last = str(len(split.logits) - 1)
    modes = {"early": ["--threshold", str(arguments.threshold)], "final": ["--exit", last]}
    subjects, reports, failures = [], {}, []
    for backend in (arguments.backend or ["ort"]) if arguments.offramp else []:
        command = subject.command(
            arguments.offramp, "bench", arguments.bundle, arguments.input, arguments.threads, len(images), backend
        )
        subjects.append(subject.Subject(command, f"offramp, {backend}"))

    def between(number):
        for each in subjects:
            for mode, more in modes.items():
                try:
                    reports.setdefault((each.title, mode), []).append(each.run(*more))
                except (RuntimeError, OSError, ValueError) as error:
                    failures.append(f"{each.title}, {mode}: {error}")

    times = interleave(peers, images, thresholds, arguments.rounds, between)
    found, counts, undecided = disagreements(times, peers, whole, images, arguments.threshold)

    base = (times[whole.title, "final"].median(), times[whole.title, "final"].mean())
    rows, at_exits = [], []
    for peer in peers:
        early, final = times[peer.title, "early"], times[peer.title, "final"]
        rows.append((peer.title, final.median(), early.median(), early.mean()))
        if peer is not whole:
            at_exits.append((peer.title, [early.at_exit(exit) for exit in range(len(split.logits))]))
    for each in subjects:
        kept = {mode: reports.get((each.title, mode), []) for mode in modes}
        rows.append((each.title, middle(kept["final"], 0), middle(kept["early"], 0), middle(kept["early"], 1)))
        stated = [subject.exits(report) for report in kept["early"]]
        at_exits.append((each.title, [middle_exit(stated, exit) for exit in range(len(split.logits))]))
        own = [stated[0].get(exit, (None, None))[0] or 0 for exit in range(len(counts))] if stated else None
        if own is not None and sum(own) == len(images):
            found[each.title] = [] if sum(abs(a - b) for a, b in zip(own, counts)) <= 2 * undecided else [f"counts {own}"]

    versions = f"ONNX Runtime {onnxruntime.__version__}, PyTorch {torch.__version__}, Python {platform.python_version()}"
    print(f"`{split.name}`, {len(images)} images of `{os.path.basename(arguments.input)}` x {arguments.rounds} rounds, batch 1, "
          f"threads {arguments.threads}, threshold {arguments.threshold}; {processor()}; {versions}\n")
    print_ratios(rows, base)
    print_exits(at_exits, split.names, counts, base[0])
    print()
    for title, wrong in found.items():
        verdict = f"differs on {wrong[:5]}" if wrong else f"exits and labels agree on {len(images)} images"
        print(f"- {title}: {verdict}")
    print(f"- {undecided} images lie within {UNDECIDED} of the threshold and may stop at either exit")
    for failure in sorted(set(failures)):
        print(f"- {failure}", file=sys.stderr)
    return 3 if any(found.values()) else 1 if failures else 0


def middle(reports, position):
    """Median over runs of the reported median (0) or mean (1)."""
    stated = [value for report in reports if (value := subject.latency_s(report)[position]) is not None]
    return statistics.median(stated) if stated else None


def middle_exit(runs, exit):
    stated = [rows[exit][1] for rows in runs if exit in rows and rows[exit][1] is not None]
    return statistics.median(stated) if stated else None


def processor():
    try:
        with open("/proc/cpuinfo") as lines:
            return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.machine()


if __name__ == "__main__":
    sys.exit(main())
