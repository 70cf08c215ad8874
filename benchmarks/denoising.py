"""Denoising variants against raw frames on truth, over rotation speed and dose, with the atoms known.

    python benchmarks/denoising.py [--frames 300] [--components 75]

What is asked is how much of what poses and positions are made from a variant keeps: a tumbling cluster of Pt, boxes of
64 px, white noise of known strength. Every variant's frames are filtered by the true profile; poses are refined against
the true atoms from starts 1.5 degrees an axis and 0.1 A off (perrin.poses.polish, 12 iterations); then atoms moved by
0.15 A an axis are refined with those poses (perrin.atoms.joint, 4 steps), and compared with the true ones after a rigid
fit. Frames are scaled so that their mean amplitude is the true one. Finding atoms from nothing is not in it. The share
of components kept is that of the published 500 in 2,000 frames.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "workflow"))
from perrin.atoms.joint import atom_step  # noqa: E402
from perrin.files.elements import element  # noqa: E402
from perrin.frames import kpca, shrinkage  # noqa: E402
from perrin.frames.bands import band_pass  # noqa: E402
from perrin.frames.denoise import disc_radius_A  # noqa: E402
from perrin.imaging.blobs import filter_frames  # noqa: E402
from perrin.imaging.profile import Profile, overlap  # noqa: E402
from perrin.imaging.rotations import angles_between, rotvec_matrices  # noqa: E402
from perrin.poses.polish import polish  # noqa: E402
from perrin.simulate import motion, particle  # noqa: E402
from perrin.simulate.images import project_atoms  # noqa: E402
from perrin.stage import limited  # noqa: E402

PIXEL_A, SIDE, SIGMA_A = 0.358, 64, 0.42
SETTINGS = ((1.0, 1.0), (2.5, 0.5), (4.0, 1.0))  # degrees a frame, dose over 17 e-/px
HEIGHT = 0.9  # of an atom over the noise, at a dose of 17 e-/px


def variants(frames, components):
    """Each variant's frames and CPU seconds, by name."""
    flat = frames.reshape(len(frames), -1)
    work = {
        "raw": lambda: frames,
        "shrinkage": lambda: shrinkage.shrink(frames, PIXEL_A, disc_radius_A(frames, PIXEL_A))[0],
        "shrinkage, no neighbours": lambda: shrinkage.shrink(
            frames, PIXEL_A, disc_radius_A(frames, PIXEL_A), time_reach=0
        )[0],
        "exact": lambda: kpca.exact(flat.copy(), components)[0],
        "published": lambda: kpca.preimage_iteration(flat.copy(), components)[0],
        "program": lambda: kpca.preimage_iteration(flat.copy(), components, "program")[0],
        "ridge": lambda: kpca.ridge(flat.copy(), components)[0],
    }
    for name, make in work.items():
        begin = time.process_time()
        yield name, make().reshape(frames.shape).astype(np.float32), time.process_time() - begin


def fitted(xyz, truth):
    """RMSD after the best rotation and shift, angstrom."""
    a, b = xyz - xyz.mean(0), truth - truth.mean(0)
    return float(np.sqrt(np.square(Rotation.align_vectors(b, a)[0].apply(a) - b).sum(1).mean()))


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--components", type=int, default=75)
    options = parser.parse_args()
    lattice_A = element("Pt").lattice_A
    lost = [{"frame": 0, "n_atoms": 12, "direction": [0.5, 1.0, 0.2], "weight": 3.0}]
    xyz = particle.build_states({"length": 5, "cutoff": 1, "lose": lost}, lattice_A, 1)[0][2]
    xyz = xyz - xyz.mean(0)
    profile = Profile.gaussian(SIGMA_A, 0.2)
    pair = overlap(profile, profile, PIXEL_A)
    columns = (
        "rotation deg/frame",
        "dose e-/px",
        "frames",
        "likeness to noise-free",
        "pose error, median deg",
    )
    columns += ("p95 deg", "shift error RMS px", "atoms RMSD A", "CPU s")
    print("| " + " | ".join(columns) + " |\n|" + "---|" * len(columns), flush=True)
    for step, dose in SETTINGS:
        rng = np.random.default_rng(7)
        quaternion = motion.orientations({"rms_deg": step}, options.frames, rng)
        rotation = Rotation.from_quat(quaternion, scalar_first=True).as_matrix()
        shift = 0.15 * rng.normal(size=(options.frames, 2))
        shape = (SIDE, SIDE)
        clean = project_atoms(xyz, quaternion, shift / PIXEL_A + SIDE // 2, shape, PIXEL_A, ((SIGMA_A, 1.0),))
        # counts against their square root: the signal over unit noise goes with the root of the dose
        clean *= HEIGHT * np.sqrt(dose)
        noisy = (clean + rng.standard_normal(clean.shape)).astype(np.float32)
        height = HEIGHT * np.sqrt(dose) * 2 * np.pi * SIGMA_A**2
        start = rotvec_matrices(np.radians(1.5) * rng.normal(size=(options.frames, 3))) @ rotation
        moved = shift + 0.1 * rng.normal(size=shift.shape)
        near = xyz + 0.15 * rng.normal(size=xyz.shape)
        want = band_pass(clean, PIXEL_A, 0.36, 0.95)
        with limited(1):
            for name, frames, cost in variants(noisy, options.components):
                got = band_pass(frames, PIXEL_A, 0.36, 0.95)
                like = (got * want).sum() / np.sqrt(np.square(got).sum() * np.square(want).sum())
                # what a variant takes off all amplitudes alike is given back
                frames = frames * np.float32(np.square(want).sum() / (got * want).sum())
                filtered = filter_frames(frames, PIXEL_A, profile)
                ones = np.ones(len(xyz))
                R, s, a, _, _ = polish(
                    filtered, xyz, ones, pair, start, moved, np.full(options.frames, height), iterations=12
                )
                atoms, occupancy = near, ones
                for _ in range(4):
                    atoms, occupancy, _ = atom_step(filtered, atoms, occupancy, pair, R, s, a)
                miss = np.degrees(angles_between(R, rotation))
                off = np.sqrt(np.square(s - shift).sum(1).mean()) / PIXEL_A
                print(
                    f"| {step} | {17 * dose:g} | {name} | {like:.2f} | {np.median(miss):.2f} | "
                    f"{np.quantile(miss, 0.95):.2f} | {off:.2f} | {fitted(atoms, xyz):.3f} | {cost:.1f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
