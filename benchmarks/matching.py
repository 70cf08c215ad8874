"""What projection matching costs: CPU seconds of one iteration on one thread, and what its kernels reach.

    python benchmarks/matching.py [--boxes 96 160] [--frames 128 384] [--bands 1.5 1.0] [--searches default published]

Frames of a ball of Pt that fills 0.4 of the box in radius, bands from 3 A to each period, poses given (as in all
iterations but the first). Two numbers of frames are run; 1,000 and 10,000 are extrapolated along the line through
them, and of the published search, which makes its fine references anew for each matching.STEP frames, with the line's
constant as often. Operations:
the search over angles multiplies matrices (8 a direction, ring and order) and transforms (2.5 T log2 T a direction of
T angles); refinement takes about 300 a coefficient and pose by trilinear, 1,100 by Kaiser-Bessel interpolation. Peak: a
product of two 2,000 x 2,000 matrices of float32 in the same run, between the cases.
"""

import argparse
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "workflow"))
from perrin.atoms.density import simulate_density  # noqa: E402
from perrin.files.records import Poses  # noqa: E402
from perrin.imaging.lattice import sites  # noqa: E402
from perrin.poses import map_fit, matching  # noqa: E402
from perrin.rounds.coupled import PUBLISHED_SEARCH  # noqa: E402
from perrin.simulate.images import PLAIN, simulate_boxes  # noqa: E402
from perrin.stage import limited  # noqa: E402

PIXEL_A, SHARE = 0.358, 0.4
SEARCHES = {"default": {}, "published": PUBLISHED_SEARCH}
COLUMNS = ("box px", "band A", "search", "frames run", "CPU s", "ms a frame", "1,000 frames", "10,000 frames")
COLUMNS += (
    "search GFLOP",
    "GFLOP/s",
    "% of peak",
    "refinement GFLOP",
    "GFLOP/s",
    "% of peak",
    "peak GFLOP/s",
)
spent, operations = Counter(), Counter()


def counted(module, name, kind, count):
    """Put a clock and a counter of operations around a function of a module."""
    work = getattr(module, name)

    def clocked(*arguments):
        begin = time.process_time()
        out = work(*arguments)
        spent[kind] += time.process_time() - begin
        operations[kind] += count(*arguments)
        return out

    setattr(module, name, clocked)


def of_angles(frames, references, turns):
    """Operations of perrin.poses.polar.turned_scores."""
    orders, count, rings = frames.shape
    return count * references.shape[2] * (8 * orders * rings + 2.5 * turns * np.log2(turns))


def of_products(coefficients, rows, transform, *_):
    """Operations of perrin.poses.normal_equations.products."""
    return len(rows) * coefficients.shape[1] * (300 if transform.taps == 2 else 1100)


def iteration(some, images, density, poses, band, radius, search):
    """CPU seconds of one iteration of matching on the first frames."""
    begin = time.process_time()
    matching.match(images[:some], density, poses.take(np.arange(some)), band, mask_radius_A=radius, **search)
    return time.process_time() - begin


def peak():
    """GFLOP/s of a matrix product."""
    a = np.random.default_rng(0).standard_normal((2000, 2000), dtype=np.float32)
    a @ a
    begin = time.process_time()
    for _ in range(3):
        a @ a
    return 3 * 2 * 2000**3 / (time.process_time() - begin) / 1e9


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--boxes", type=int, nargs="+", default=[96, 160])
    parser.add_argument("--frames", type=int, nargs=2, default=[128, 384])
    parser.add_argument("--bands", type=float, nargs="+", default=[1.5, 1.0])
    parser.add_argument("--searches", nargs="+", default=list(SEARCHES), choices=SEARCHES)
    options = parser.parse_args()
    counted(matching, "turned_scores", "search", of_angles)
    counted(map_fit, "products", "refinement", of_products)
    print("| " + " | ".join(COLUMNS) + " |\n|" + "---|" * len(COLUMNS), flush=True)
    with limited(1):
        for n in options.boxes:
            rng = np.random.default_rng(0)
            radius = SHARE * n * PIXEL_A
            xyz = sites("fcc", 3.98, radius - 3)
            xyz = xyz + rng.normal(0, 0.05, xyz.shape)
            density = simulate_density(xyz, "Pt", n, PIXEL_A)
            count = options.frames[1]
            q = Rotation.random(count, rng).as_quat(scalar_first=True)
            shift = rng.normal(0, 0.1, (count, 2))
            images = simulate_boxes(xyz, q, shift, n, PIXEL_A, 1.0, PLAIN, seed=1)
            poses = Poses(np.arange(count), q, shift, np.ones(count), np.ones(count))
            for shortest in options.bands:
                for name in options.searches:
                    given = images, density, poses, (3.0, shortest), radius, SEARCHES[name]
                    iteration(4, *given)  # compiles
                    few = iteration(options.frames[0], *given)
                    spent.clear()
                    operations.clear()
                    many = iteration(count, *given)
                    best = peak()
                    slope = (many - few) / (count - options.frames[0])
                    fixed = many - slope * count
                    line = [n, f"3-{shortest:g}", name, count, f"{many:.1f}", f"{1000 * slope:.1f}"]
                    for wanted in (1000, 10000):
                        times = -(-wanted // matching.STEP) if name == "published" else 1
                        line.append(f"{times * fixed + slope * wanted:.0f}")
                    for kind in ("search", "refinement"):
                        work, seconds = operations[kind] / 1e9, spent[kind]
                        line += [
                            f"{work:.1f}",
                            f"{work / seconds:.1f}",
                            f"{100 * work / seconds / best:.0f}",
                        ]
                    print("| " + " | ".join(map(str, line)) + f" | {best:.0f} |", flush=True)


if __name__ == "__main__":
    main()
