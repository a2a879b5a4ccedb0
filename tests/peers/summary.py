"""What peers answered, as Markdown: by peer, network, wire form and batch over all tails; then one line for each peer.

    python summary.py ROWS
"""

import json
import pathlib
import sys


def table(rows, keys, more):
    groups = {}
    for row in rows:
        groups.setdefault(tuple(row[key] for key in keys), []).append(row)
    columns = [*keys, "tails", *more, "largest difference", "labels", "agree"]
    print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    for group, among in groups.items():
        tails = len({(row["network"], row["cut"], row["wire"]) for row in among})
        worst, labels, agree = max(row["difference"] for row in among), *(
            sum(row[key] for row in among) for key in ("labels", "agree"))
        beside = (of(among) for of in more.values())
        print(f"| {' | '.join(map(str, (*group, tails, *beside, f'{worst:.1e}', labels, agree)))} |")


def main():
    rows = [json.loads(line) for line in pathlib.Path(sys.argv[1]).read_text().splitlines()]
    if not rows:
        raise SystemExit("no peer answered")

    def worst(wire):
        return lambda among: f"{max((row['difference'] for row in among if row['wire'] == wire), default=0):.1e}"

    table(rows, ["peer", "network", "wire", "batch"], {})
    print()
    networks = {"networks": lambda among: len({row["network"] for row in among})}
    table(rows, ["peer"], networks | {"float32": worst("f32"), "uint8": worst("u8")})


if __name__ == "__main__":
    main()
