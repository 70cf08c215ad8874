"""What poses and atoms by continuity cost: CPU seconds and memory a stage, and what the kernels reach, on one thread.

    NUMBA_NUM_THREADS=1 python benchmarks/engine_cost.py [--frames 1000 10000] [--box 96 160] [--atoms 300]

One particle (Pt, SNR 0.2, 2.5 degrees a frame) is filmed for 1,000 frames, which are gone through to and fro until
there are enough: a path without a jump. Larger boxes have noise around it. Every case is a process of its own;
compiling and the making of frames are left out. Operations are counted by hand: lattice scores 354 a reflection
(look-up, 64 shifts) and 700 a node (exponentials as powers); the path 3 a node and neighbour; a pose's evaluation 130
an atom (spline and its gradient) and 80 a pair within reach (the overlap as a polynomial), 260 with the Gauss-Newton
matrix, as if no pose rested early; the segment test 80 a pair and rotation, 3 an atom and branch. Peak: a product of
two 2,000 x 2,000 matrices of float32 in the same run.
"""

import argparse
import multiprocessing
import resource
import sys
import time
from collections import defaultdict

import numpy as np
from engine import PIXEL_A, Draft, configuration, film, particle
from matching import peak

from perrin.files.accepted import Frames
from perrin.files.elements import element
from perrin.poses import chain, evidence, polish, relabel
from perrin.rounds import model
from perrin.rounds.average3d import average_by_continuity
from perrin.rounds.unstretch import unstretched
from perrin.rounds.volume import poses_of, profile_facts
from perrin.rounds.window3d import window_by_continuity


def continued(data, count, box):
    """`count` frames, to and fro through those given, in boxes of `box` pixels."""
    frames = len(data.images)
    rows = np.abs((np.arange(count) + frames - 1) % (2 * frames - 2) - (frames - 1))
    rng = np.random.default_rng(1)
    old = data.images.shape[-1]
    images = np.empty((count, box, box), np.float32)
    low = box // 2 - old // 2
    for first in range(0, count, 500):
        part = slice(first, min(first + 500, count))
        block = rng.standard_normal((part.stop - part.start, box, box), np.float32)
        block[:, low : low + old, low : low + old] = data.images[rows[part]]
        images[part] = block
    number = np.arange(count)
    return Frames(
        images, number, number, data.box_px[rows], data.centre_A[rows], np.ones(count), PIXEL_A
    )  # fmt: skip


def counted(clocks, module, name, operations):
    """Let a kernel add its CPU seconds and its operations to `clocks[name]`; what counting takes, to "counting"."""
    kernel = getattr(module, name)

    def clocked(*arguments):
        begin = time.process_time()
        out = kernel(*arguments)
        end = time.process_time()
        clocks[name][0] += end - begin
        clocks[name][1] += operations(*arguments)
        clocks["counting"][0] += time.process_time() - end
        return out

    setattr(module, name, clocked)


def laid_out(xyz, rotation, series, sample=20):
    """Mean number of pairs of atoms within reach along x, which are those that `imaging.pairs` sums over."""
    rows = np.unique(np.linspace(0, len(rotation) - 1, sample).astype(int))
    along = np.einsum("fj,nj->fn", rotation[rows, 0], xyz)
    near = np.abs(along[:, :, None] - along[:, None]) <= np.sqrt(series[3])
    return (near.sum((1, 2)).mean() - len(xyz)) / 2


def of_scores(table, first, place, *_):
    return len(table) * (354 * len(place) + 700 * (len(first) - 1))


def of_path(score, neighbour, *_):
    return 3 * len(score) * neighbour.size


def of_polish(coefficient, centre, step, rows, images, xyz, occupancy, series, R, *rest):
    pairs, iterations = laid_out(xyz, R[rows], series), rest[-3]
    light, full = 130 * len(xyz) + 80 * pairs, 130 * len(xyz) + 260 * pairs
    return len(rows) * (full + iterations * light)


def of_branches(
    coefficient, centre, step, xyz, occupancy, depth, middle, series, rows, turned, half, shift, slips, *_
):
    pairs = laid_out(xyz, turned[:, 0], series)
    return len(rows) * (half * 80 * pairs + turned.shape[1] * len(xyz) * (18 + 3 * len(slips)))


def case(data, metal, measured, clocks):
    """CPU seconds of the stages, without what counting takes."""

    def now():
        return time.process_time() - clocks["counting"][0]

    times = [now()]
    solution, facts, *_ = average_by_continuity(data, metal, measured)
    times.append(now())
    facts |= {"profile": profile_facts(solution.profile), "step_deg": float(solution.step_deg)}
    around = solution.xyz_A[solution.occupancy > 0.1]
    rounds = {stage: configuration({})[stage]["n_rounds"] for stage in ("window3d", "model")}
    start = poses_of(solution, data.number)
    solution, _ = window_by_continuity(data, start, facts, around, metal.system, rounds["window3d"])
    times.append(now())
    rested = model._at_rest(
        data,
        Draft(solution.xyz_A, solution.occupancy),
        poses_of(solution, data.number),
        solution.profile,
        solution.step_deg,
        rounds["model"],
    )
    rested, strain = unstretched(data, rested, metal)
    model._judged(data, rested, metal.symbol, strain)
    times.append(now())
    return np.diff(times)


def alone(queue, atoms, count, box):
    """One case in a process of its own: its costs, its peak memory, the size of its frames."""
    metal = element("Pt")
    xyz = particle("plain", atoms, metal, 7)
    short, *_ = film(xyz, 1000, 0.2, 2.5, "free", 7)
    measured = {"diameter_A": 2 * 10.3, "extent_A": 2 * np.linalg.norm(xyz, axis=1).max()}
    data = continued(short, count, max(box, short.images.shape[-1]))
    clocks = defaultdict(lambda: [0.0, 0.0])
    counted(clocks, evidence, "_scores", of_scores)
    counted(clocks, chain, "_forward", of_path)
    counted(clocks, polish, "_polish", of_polish)
    counted(clocks, relabel, "_branch_scores", of_branches)
    case(data.take(slice(0, 200)), metal, measured, clocks)  # compiles
    clocks.clear()
    stages = case(data, metal, measured, clocks)
    del clocks["counting"]
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    queue.put((stages, dict(clocks), memory, data.images.shape[-1], data.images.nbytes))


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--frames", type=int, nargs="+", default=[1000, 10000])
    parser.add_argument("--box", type=int, nargs="+", default=[96, 160])
    parser.add_argument("--atoms", type=int, default=300)
    options = parser.parse_args()
    spawn = multiprocessing.get_context("spawn")
    rows = []
    print(
        "| frames | box px | average3d CPU s | window3d | model | all | ms a frame | images GB | peak memory GB |"
    )
    print("|" + "---|" * 9)
    for box in options.box:
        for count in options.frames:
            queue = spawn.Queue()
            process = spawn.Process(target=alone, args=(queue, options.atoms, count, box))
            process.start()
            stages, clocks, memory, side, size = queue.get()
            process.join()
            spent = " | ".join(f"{s:.0f}" for s in (*stages, stages.sum()))
            print(
                f"| {count} | {side} | {spent} | {1000 * stages.sum() / count:.0f} | {size / 1e9:.2f} | "
                f"{memory / 1e6:.2f} |",
                flush=True,
            )
            rows += [(count, side, name, *clock) for name, clock in clocks.items()]
    best = peak()
    print("\n| frames | box px | kernel | CPU s | GFLOP | GFLOP/s | % of peak |\n|" + "---|" * 7)
    for count, box, name, seconds, operations in rows:
        rate = operations / 1e9 / seconds
        print(
            f"| {count} | {box} | `{name}` | {seconds:.1f} | {operations / 1e9:.0f} | {rate:.1f} | "
            f"{100 * rate / best:.0f} |"
        )


if __name__ == "__main__":
    sys.exit(main())
