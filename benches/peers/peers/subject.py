"""`offramp bench` in a process of its own, and what its JSON says."""

import json
import subprocess


class Subject:
    def __init__(self, command, title):
        self.command, self.title = command, title

    def run(self, *more):
        """The JSON of one run, or a `RuntimeError` with what the program said."""
        done = subprocess.run([*self.command, *more], capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join([*self.command, *more])}: status {done.returncode}\n{done.stderr.strip()}")
        return json.loads(done.stdout)


def command(binary, verb, bundle, data, threads, limit, backend):
    more = ["--threads", str(threads), "--limit", str(limit), "--backend", backend, "--json"]
    return [binary, verb, str(bundle), "--input", str(data), *more]


def find(value, key):
    """The first value under `key`, however deep, breadth first; `None` where there is none."""
    level = [value]
    while level:
        for item in level:
            if isinstance(item, dict) and item.get(key) is not None:
                return item[key]
        level = [
            child for item in level for child in (item.values() if isinstance(item, dict) else item)
            if isinstance(child, dict | list)
        ]
    return None


def latency_s(report):
    """`(median, mean)` of a report in seconds; `None` for what it does not state."""
    stated = find(report, "latency_s")
    if isinstance(stated, int | float):
        return None, float(stated)
    stated = stated or {}
    return stated.get("p50", stated.get("median")), stated.get("mean")


def exits(report):
    """Per exit: how many images stopped there and their median latency in seconds."""
    rows = {}
    for position, row in enumerate(find(report, "exits") or []):
        stated = row.get("latency_s")
        stated = stated.get("p50", stated.get("mean")) if isinstance(stated, dict) else stated
        rows[row.get("exit", row.get("index", position))] = (row.get("count", row.get("images")), stated)
    return rows
