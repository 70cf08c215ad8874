"""What tracking and cutting of particles cost on camera frames: time and memory against frames and particles.

    python benchmarks/track.py [--frames 2000 20000] [--particles 1 3] [--threads 2]

Prints the table of docs/results-frames.md. The movie, 1920 x 1728 uint8, is made as it is read (a bank of noise, a
simulated particle pasted into it at three places), so that no disk is in the figures and none is needed; making a frame
costs about what copying it out of the page cache does. Each line runs in a process of its own, with --threads as the
stage has them; the movie's own arrays are taken off its peak memory. Compiling, once after an installation, is done
before. "early" and "late" are CPU ms a frame in the first and in the last half of the frames, start and end left out.
"""

import argparse
import ctypes
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
START = 1300  # frames, after which the look has been learnt and the first block is done


def made_movie(count, clock):
    """A movie of `count` frames with three particles.

    clock : dict that gets the CPU time at which each piece was read, by its first frame
    """
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
        clock.setdefault(first, time.process_time())
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
    movie = Movie(
        Path("made"), shape, np.dtype("u1"), 0.358, None, None, "made", stored, window, rows_apart=True
    )
    return movie


def resident():
    """Bytes of memory that this process has now; 0 where the system does not say."""
    status = Path("/proc/self/statm")
    return int(status.read_text().split()[1]) * resource.getpagesize() if status.exists() else 0


def one(count, particles, threads, queue):
    """Track so many particles in one reading; wall s, CPU s, peak memory MB, early and late CPU ms a frame."""
    clock, before = {}, resident()
    movie = made_movie(count, clock)
    if sys.platform == "linux":
        ctypes.CDLL(None).malloc_trim(0)  # what making the movie took is not the tracker's
    held = resident() - before
    stage.open_movie = lambda path: movie
    wall, cpu = time.perf_counter(), time.process_time()
    facts = [
        {"name": str(number), "x_px": x + SMALL / 2, "y_px": y + SMALL / 2}
        for number, (x, y) in enumerate(PLACES[:particles])
    ]
    with tempfile.TemporaryDirectory() as folder, limited(threads):
        stage.track_together(movie="made", together=folder, facts=facts)
        refused = list(Path(folder).glob("*/refused.txt"))
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    queue.put((wall, cpu, (peak - held) / 1e6, *pace(clock, count), len(refused)))


def pace(clock, count):
    """CPU ms a frame in two halves of the frames after START, from when their pieces were first read."""
    at = np.array(sorted(clock))
    spent = np.array([clock[first] for first in at])
    marks = np.interp([START, (START + count) / 2, count], at, spent)
    return 1000 * np.diff(marks) / ((count - START) / 2) if count > 2 * START else (np.nan, np.nan)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--frames", type=int, nargs="+", default=[2000, 20000])
    parser.add_argument("--particles", type=int, nargs="+", default=[1, 3])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", help="also append the rows to this file")
    options = parser.parse_args()
    run(300, 1, options.threads)
    print("| frames | particles | CPU s | CPU ms/frame | early | late | wall s | frames/s | peak memory MB |")
    print("|---|---|---|---|---|---|---|---|---|")
    for count in options.frames:
        for particles in options.particles:
            row = run(count, particles, options.threads)
            wall, cpu, peak, early, late, refused = row
            said = [f"{value:.2f}" if value == value else "" for value in (1000 * cpu / count, early, late)]
            print(
                f"| {count} | {particles} | {cpu:.1f} | {' | '.join(said)} | {wall:.1f} | {count / wall:.0f} "
                f"| {peak:.0f} |" + f" {refused} refused!" * (refused > 0),
                flush=True,
            )
            if options.json:
                with open(options.json, "a") as file:
                    file.write(json.dumps([count, particles, *row]) + "\n")


def run(*arguments):
    """What `one` measures, in a process of its own."""
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=one, args=(*arguments, queue))
    process.start()
    result = queue.get()
    process.join()
    return result


if __name__ == "__main__":
    main()
