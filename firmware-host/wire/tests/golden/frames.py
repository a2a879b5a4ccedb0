#!/usr/bin/env python3
"""Writes frames.txt from docs/wire.md alone: it shares no line with the crate.

usage: python3 frames.py > frames.txt
"""
import struct
import zlib
from pathlib import Path

SCHEMA = (Path(__file__).parents[2] / "src" / "schema.txt").read_bytes()


def fnv1a(data):
    h = 0xCBF29CE484222325
    for byte in data:
        h = ((h ^ byte) * 0x100000001B3) % 2**64
    return h


def stuff(data):
    out = bytearray()
    blocks = data.split(b"\0")
    for i, block in enumerate(blocks):
        last = i == len(blocks) - 1
        while len(block) >= 254:
            out += b"\xff" + block[:254]
            block = block[254:]
            if not block and last:
                return bytes(out)
        out += bytes([len(block) + 1]) + block
    return bytes(out)


def frame(kind, sequence, payload):
    body = struct.pack("<BBHH", 1, kind, len(payload), sequence) + payload
    return stuff(body + struct.pack("<I", zlib.crc32(body))) + b"\0"


def string(text):
    data = text.encode()
    return bytes([len(data)]) + data


hash_ = struct.pack("<Q", fnv1a(SCHEMA))
hello = hash_ + struct.pack("<BIIIIB", 0b111, 1_000_000, 1_000_000, 7, 3072, 2)
hello += string("meter") + string("A-17")
hello += struct.pack("<BI", 2, 1_250_000) + string("VDD_IN") + struct.pack("<BI", 3, 500_000) + string("I_IN")
samples = struct.pack("<IIIBB", 0xFFFFFF00, 4096, 250, 2, 3) + struct.pack("<II", 1_250_000, 500_000)
samples += struct.pack("<6i", 4000, 1000, 4001, -2, 3999, 2**31 - 1)
full = struct.pack("<IIIBB", 1, 2, 119, 1, 120) + struct.pack("<I", 1) + struct.pack("<120i", *([-1] * 120))

FRAMES = [
    ("greet", 0x01, 0, hash_),
    ("ping", 0x02, 1, struct.pack("<I", 0xDEADBEEF)),
    ("start", 0x03, 2, struct.pack("<IB", 8_000_000, 60)),
    ("mark", 0x04, 3, struct.pack("<I", 5)),
    ("stop", 0x05, 0xFFFF, b""),
    ("chunk", 0x06, 0x0100, struct.pack("<III", 9, 3072, 500) + bytes(range(256)) + bytes(244)),
    ("hello", 0x81, 0, hello),
    ("pong", 0x82, 1, struct.pack("<III", 0xDEADBEEF, 0, 100)),
    ("started", 0x83, 2, struct.pack("<II", 123456, 1_000_000)),
    ("marker", 0x84, 3, struct.pack("<IBI", 123457, 2, 5)),
    ("stopped", 0x85, 4, struct.pack("<III", 2**32 - 1, 80_000, 3)),
    ("answer", 0x86, 5, struct.pack("<IHBBIII", 9, 3, 2, 1, 987_654, 1500, 420)),
    ("answer-without-energy", 0x86, 6, struct.pack("<IHBBIII", 9, 999, 0, 0, 1_000_000, 1500, 0)),
    ("samples", 0x87, 7, samples),
    ("samples-full", 0x87, 8, full),
    ("taken", 0x88, 9, struct.pack("<II", 9, 1000)),
    ("error", 0xFF, 10, struct.pack("<BI", 4, 0xFFFFFFFB) + string("sensor 0x40 does not answer")),
]

print("# Made by frames.py. name, type, sequence number, frame")
for name, kind, sequence, payload in FRAMES:
    print(f"{name} {kind:02x} {sequence:04x} {frame(kind, sequence, payload).hex()}")
print(f"# schema {fnv1a(SCHEMA):016x}")
