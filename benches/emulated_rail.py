#!/usr/bin/env python3
"""A rail that is not there: hwmon files whose power follows the load of this machine's processors.

  benches/emulated_rail.py rail --idle 4 --busy 6 &
  offramp bench BUNDLE --input A --against B --meter hwmon --sysfs-root rail --rail board

What it gives is arithmetic, not a measurement: it shows what a meter's output looks like where there is no meter.
"""
import argparse
import pathlib
import time


def busy_seconds():
    """Seconds that all processors have worked since the machine started, in clock ticks."""
    fields = [int(field) for field in pathlib.Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]]
    return sum(fields) - fields[3] - fields[4], sum(fields)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--idle", type=float, default=4.0, help="watts of a machine at rest")
    parser.add_argument("--busy", type=float, default=6.0, help="watts that a busy processor adds, at all of them")
    parser.add_argument("--every", type=float, default=0.05, help="seconds between new values")
    arguments = parser.parse_args()
    sensor = arguments.folder / "class/hwmon/hwmon0"
    sensor.mkdir(parents=True, exist_ok=True)
    (sensor / "name").write_text("emulated\n")
    (sensor / "power1_label").write_text("board\n")
    (sensor / "update_interval").write_text(f"{arguments.every * 1e3:.0f}\n")
    power = sensor / "power1_input"
    power.write_text(f"{arguments.idle * 1e6:.0f}\n")
    busy, total = busy_seconds()
    with power.open("r+") as file:
        while True:
            time.sleep(arguments.every)
            now_busy, now_total = busy_seconds()
            share = (now_busy - busy) / max(now_total - total, 1)
            busy, total = now_busy, now_total
            # In place and of one length, so that a reader never sees half a number.
            file.seek(0)
            file.write(f"{(arguments.idle + arguments.busy * share) * 1e6:010.0f}\n")
            file.flush()


if __name__ == "__main__":
    main()
