"""What tracking and cutting of particles cost on camera frames: time and memory against the number of frames.

    python benchmarks/track.py [--frames 2000 20000] [--particles 1 3]

The movie, 1920 x 1728 uint8, is made as it is read (a bank of noise, a simulated particle pasted into it), so that
no disk is in the figures; making a frame costs about what copying it out of the page cache does. Each line runs in a
process of its own, with --threads as the stage has them; the movie's own arrays are taken off its peak memory.
"""

import argparse
import json
import multiprocessing
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "workflow"))
from perrin.files.movies import Movie  # noqa: E402
from perrin.frames import track as stage  # noqa: E402
from perrin.simulate.movie import simulate_movie  # noqa: E402
from perrin.stage import limited  # noqa: E402

HEIGHT, WIDTH, SMALL, BANK, LOOP = 1728, 1920, 240, 16, 1000
PLACES = ((300, 200), (1500, 400), (800, 1300))  # corner x, y of each pasted field


def made_movie(count):
    """A movie of `count` frames with three particles, and the bytes it holds."""
    rng = np.random.default_rng(3)
    bank = np.stack([rng.poisson(17, (HEIGHT, WIDTH)).astype(np.uint8) for _ in range(BANK)])
    _, chunks = simulate_movie(
        {
            "n_frames": LOOP,
            "field_px": SMALL,
            "particle": {"length": 8, "cutoff": 2},
            "motion": {"rms_px": 0.5, "limit_px": 60, "pull": 0},
            "background": {"graphene": [{"angle_deg": 7.0}], "liquid": {}},
        }
    )
    small = np.concatenate(list(chunks))

    def window(first, stop, part):
        y0, y1, x0, x1 = part
        out = np.empty((stop - first, y1 - y0, x1 - x0), np.uint8)
        for image, frame in zip(out, range(first, stop)):
            image[:] = bank[frame % BANK, y0:y1, x0:x1]
            turn = frame % (2 * LOOP)  # forwards, then backwards: no jump
            one = small[turn if turn < LOOP else 2 * LOOP - 1 - turn]
            for x, y in PLACES:
                top, bottom, left, right = max(y, y0), min(y + SMALL, y1), max(x, x0), min(x + SMALL, x1)
                if top < bottom and left < right:
                    image[top - y0 : bottom - y0, left - x0 : right - x0] = one[
                        top - y : bottom - y, left - x : right - x
                    ]
        return out

    def stored(first, stop):
        return window(first, stop, (0, HEIGHT, 0, WIDTH))

    shape = (count, HEIGHT, WIDTH)
    movie = Movie(Path("made"), shape, np.dtype("u1"), 0.358, None, None, "made", stored, window)
    return movie, bank.nbytes + small.nbytes


def one(count, particles, threads, queue):
    movie, held = made_movie(count)
    stage.open_movie = lambda path: movie
    wall, cpu = time.perf_counter(), time.process_time()
    with tempfile.TemporaryDirectory() as folder, limited(threads):
        for number, (x, y) in enumerate(PLACES[:particles]):
            names = {"tracks": "t.csv", "particle": "p.mrcs", "spectrum": "s.npz", "field": "f.png"}
            files = {key: f"{folder}/{number}{name}" for key, name in names.items()}
            stage.track(movie="made", **files, x_px=x + SMALL / 2, y_px=y + SMALL / 2)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    queue.put((time.perf_counter() - wall, time.process_time() - cpu, (peak - held) / 1e6))


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--frames", type=int, nargs="+", default=[2000, 20000])
    parser.add_argument("--particles", type=int, nargs="+", default=[1])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", help="also append the rows to this file")
    options = parser.parse_args()
    print("| frames | particles | wall s | CPU s | frames/s | peak memory MB |\n|---|---|---|---|---|---|")
    context = multiprocessing.get_context("spawn")
    for count in options.frames:
        for particles in options.particles:
            queue = context.Queue()
            process = context.Process(target=one, args=(count, particles, options.threads, queue))
            process.start()
            wall, cpu, peak = queue.get()
            process.join()
            print(
                f"| {count} | {particles} | {wall:.1f} | {cpu:.1f} | {count / wall:.0f} | {peak:.0f} |",
                flush=True,
            )
            if options.json:
                with open(options.json, "a") as file:
                    file.write(json.dumps([count, particles, wall, cpu, peak]) + "\n")


if __name__ == "__main__":
    main()
