"""What the decomposition and the pre-images cost: CPU seconds and memory against the number of frames.

    python benchmarks/denoising_cost.py [--frames 1000 10000] [--box 160] [--components 500]

decomposition: of the frames, for exact and ridge; kernel: of the matrix of all cosines, for published and program.
Frames are white noise with a low-rank signal; each line runs in a process of its own, on --threads threads.
"""

import argparse
import multiprocessing
import resource
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "workflow"))
from perrin.frames import kpca, shrinkage  # noqa: E402
from perrin.stage import limited  # noqa: E402

PIXEL_A = 0.358
CASES = ("decomposition", "kernel", "exact", "shrinkage", "published", "program", "ridge")


def one(case, count, box, components, threads, queue):
    rng = np.random.default_rng(0)
    frames = rng.standard_normal((count, box * box), dtype=np.float32)
    frames += (
        3
        * rng.standard_normal((count, 20), dtype=np.float32)
        @ (rng.standard_normal((20, box * box), dtype=np.float32) / np.float32(box))
    )
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with limited(threads):
        wall, cpu = time.perf_counter(), time.process_time()
        if case == "decomposition":
            _, rows, length = kpca.unit_rows(frames)
            rows /= length[:, None]
            kpca.principal_components(rows, components)
        elif case == "kernel":
            _, rows, length = kpca.unit_rows(frames)
            kpca.leading_pairs(kpca.cosine_kernel(rows, length), components)
        elif case == "exact":
            kpca.exact(frames, components)
        elif case == "shrinkage":
            shrinkage.shrink(frames.reshape(-1, box, box), PIXEL_A, 15.0)
        elif case == "ridge":
            kpca.ridge(frames, components)
        else:
            kpca.preimage_iteration(frames, components, "program" if case == "program" else "projector")
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    queue.put((wall, cpu, peak / 1e6, before / 1e6))


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--frames", type=int, nargs="+", default=[1000, 10000])
    parser.add_argument("--box", type=int, default=160)
    parser.add_argument("--components", type=int, default=500)
    parser.add_argument("--cases", nargs="+", default=CASES)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    print("| what | frames | CPU s | wall s | peak memory GB, the frames included |\n|---|---|---|---|---|")
    context = multiprocessing.get_context("spawn")
    for count in options.frames:
        for case in options.cases:
            queue = context.Queue()
            arguments = (case, count, options.box, options.components, options.threads, queue)
            process = context.Process(target=one, args=arguments)
            process.start()
            wall, cpu, peak, _ = queue.get()
            process.join()
            print(f"| {case} | {count} | {cpu:.0f} | {wall:.0f} | {peak:.1f} |", flush=True)


if __name__ == "__main__":
    main()
