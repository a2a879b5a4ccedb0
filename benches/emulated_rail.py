#!/usr/bin/env python3
"""A rail that is not there: hwmon files whose power follows the processor time of a command.

  benches/emulated_rail.py rail -- offramp bench BUNDLE --input A --against B --meter hwmon --sysfs-root rail --rail board

What it gives is arithmetic, not a measurement: it shows what a meter's output looks like where there is no meter.
"""
import argparse
import pathlib
import subprocess
import sys
import time


def processor_seconds(process):
    """What all threads of a process have computed so far."""
    seconds = 0.0
    for task in pathlib.Path(f"/proc/{process}/task").glob("*/schedstat"):
        try:
            seconds += int(task.read_text().split()[0]) / 1e9
        except (OSError, IndexError):
            pass
    return seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path, help="stands for /sys")
    parser.add_argument("command", nargs="+", help="what is run; its status is ours")
    parser.add_argument("--idle", type=float, default=4.0, help="watts of a machine at rest")
    parser.add_argument("--busy", type=float, default=6.0, help="watts that one busy processor adds")
    parser.add_argument("--every", type=float, default=0.02, help="seconds between new values")
    arguments = parser.parse_args()
    sensor = arguments.folder / "class/hwmon/hwmon0"
    sensor.mkdir(parents=True, exist_ok=True)
    (sensor / "name").write_text("emulated\n")
    (sensor / "power1_label").write_text("board\n")
    (sensor / "update_interval").write_text(f"{arguments.every * 1e3:.0f}\n")
    power = sensor / "power1_input"
    power.write_text(f"{arguments.idle * 1e6:010.0f}\n")
    process = subprocess.Popen(arguments.command)
    busy, at = 0.0, time.monotonic()
    with power.open("r+") as file:
        while process.poll() is None:
            time.sleep(arguments.every)
            now_busy, now = processor_seconds(process.pid), time.monotonic()
            watts = arguments.idle + arguments.busy * max(now_busy - busy, 0.0) / (now - at)
            busy, at = now_busy, now
            # In place and of one length: a reader never sees half a number.
            file.seek(0)
            file.write(f"{watts * 1e6:010.0f}\n")
            file.flush()
    sys.exit(process.returncode)


if __name__ == "__main__":
    main()
