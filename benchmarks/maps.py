"""What the kernels of imaging.slices and maps cost: CPU and wall seconds, one line a case.

    python benchmarks/maps.py [--frames 1200] [--boxes 96 160]

Threads come from outside, as everywhere: OMP_NUM_THREADS, NUMBA_NUM_THREADS.
"""

import argparse
import platform
import sys
import time
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "workflow"))
from perrin.files.records import Map, Poses  # noqa: E402
from perrin.imaging import slices  # noqa: E402
from perrin.imaging.fourier import half_plane  # noqa: E402
from perrin.maps.correlation import frame_correlations  # noqa: E402
from perrin.maps.fsc import corrected_fsc  # noqa: E402
from perrin.maps.halves import half_sets  # noqa: E402
from perrin.maps.icm import VARIANTS, icm  # noqa: E402
from perrin.maps.mask import automask, soft_sphere  # noqa: E402
from perrin.maps.nonuniform import nonuniform  # noqa: E402
from perrin.maps.reconstruct import reconstruct, reconstruct_sets  # noqa: E402

PIXEL = 0.358


def timed(label, work, rows):
    cpu, wall = time.process_time(), time.perf_counter()
    work()
    rows.append((label, time.process_time() - cpu, time.perf_counter() - wall))
    print(f"{label:58s} {rows[-1][1]:8.2f} CPU s {rows[-1][2]:8.2f} s", flush=True)


def cases(n, frames):
    rng = np.random.default_rng(0)
    images = rng.standard_normal((frames, n, n), dtype=np.float32)
    rotations = Rotation.random(frames, rng)
    poses = Poses(
        np.arange(frames),
        rotations.as_quat(scalar_first=True),
        rng.normal(0, 0.5, (frames, 2)),
        np.ones(frames),
        np.ones(frames),
    )
    noise = [Map(rng.standard_normal((n,) * 3, dtype=np.float32), PIXEL) for _ in range(2)]
    matrix = rotations.as_matrix()
    plane = half_plane(n, PIXEL, (3.0, 1.0))
    radius = min(16.0, n / 2 * PIXEL)
    ready = {
        kind: slices.padded_transform(noise[0].data, PIXEL, (3.0, 1.0), kind)
        for kind in (slices.KAISER_BESSEL, slices.TRILINEAR)
    }
    yield f"project, {frames} frames", lambda: slices.project(noise[0].data, matrix, poses.shift_A, PIXEL)
    for kind, transform in ready.items():
        yield f"slices 3-1 A, {kind}, {frames}", lambda t=transform: slices.fourier_slices(t, matrix, plane)
    yield (
        f"reconstruct nufft, {frames} frames",
        lambda: reconstruct(images, poses, PIXEL, mask_radius_A=radius),
    )
    halves = half_sets(frames)
    yield (
        "the same with both halves",
        lambda: reconstruct_sets(images, poses, PIXEL, halves, mask_radius_A=radius),
    )
    yield (
        f"reconstruct gridding, {frames} frames",
        lambda: reconstruct(images, poses, PIXEL, method="gridding"),
    )
    yield f"frame correlations, {frames} frames", lambda: frame_correlations(images, noise[0], poses)
    for variant in VARIANTS:
        yield f"icm {variant}, two halves", lambda v=variant: icm(*noise, variant=v)
    yield "nonuniform, two halves", lambda: nonuniform(*noise)
    mask = soft_sphere(n, PIXEL, radius)
    yield "corrected FSC", lambda: corrected_fsc(*noise, mask)
    yield "automask", lambda: automask(noise[0])


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--frames", type=int, default=1200)
    parser.add_argument("--boxes", type=int, nargs="+", default=[96, 160])
    options = parser.parse_args()
    print(
        f"{platform.processor() or platform.machine()}, Python {platform.python_version()}, numpy {np.__version__}"
    )
    for _, work in cases(24, 60):  # compiles the kernels
        work()
    rows = []
    for n in options.boxes:
        for label, work in cases(n, options.frames):
            timed(f"{n} px: {label}", work, rows)


if __name__ == "__main__":
    main()
