"""Whether a movie's own rings tell a wrong element from the right one: scale and doubt of finished trajectories.

PYTHONPATH=workflow python benchmarks/rings.py RESULTS/NAME ... [--elements Pt Cu Au]

One line a trajectory: for each element how far out its rings would have to move, how much worse its own rings fit than
the best (perrin.frames.rings doubts beyond 2), and whether classes2d would doubt it.
"""

import argparse
from pathlib import Path

from perrin.files.atomic import read_json
from perrin.files.elements import element
from perrin.files.stacks import read_stack, stack_info
from perrin.files.tables import read_table
from perrin.frames.classes2d import disc_mask
from perrin.frames.rings import misplaced, ring_power, ring_scale


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", type=Path, help="results of finished trajectories")
    parser.add_argument("--elements", nargs="+", default=["Pt", "Cu", "Au"])
    options = parser.parse_args()
    print(f"| trajectory | {' | '.join(f'{e}: scale, worse, doubted' for e in options.elements)} |")
    print("|---|" + "---|" * len(options.elements))
    for run in options.runs:
        (_, n, _), pixel_A = stack_info(run / "graphene/clean.mrcs")
        accepted = read_table(run / "classes2d/frames.csv")["accepted"].to_numpy() == 1
        images = read_stack(run / "graphene/clean.mrcs")[accepted]
        diameter_A = read_json(run / "classes2d/particle.json")["diameter_A"]
        mask = disc_mask(n, pixel_A, diameter_A / 2 + 1.0)
        cells = []
        for symbol in options.elements:
            scale, worse, _ = ring_scale(*ring_power(images, pixel_A, mask), diameter_A, element(symbol))
            doubted = misplaced(images, pixel_A, mask, diameter_A, element(symbol))[1]
            cells.append(f"{scale:.3f}, {worse:.1f}, {'yes' if doubted else 'no'}")
        print(f"| {run.name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
