"""Detection alone: atoms found in simulated maps of known models, with and without noise.

    python benchmarks/detection.py [MODEL.csv ...] [--seeds 5]

A perfect sphere of 201 atoms without noise, then every model given (columns x_A, y_A, z_A) without noise and with white
noise of as much power as the map has within 1.6 A of its atoms (voxel SNR 1), on voxels of 0.358 A.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "workflow"))
from perrin.atoms.density import simulate_density  # noqa: E402
from perrin.atoms.detect import CENTRES, detect_atoms  # noqa: E402
from perrin.files.records import Map  # noqa: E402
from perrin.imaging.lattice import sites  # noqa: E402
from perrin.rounds.injected import mutual_pairs  # noqa: E402

PIXEL_A, BOX, CLOSEST = 0.358, 112, 0.6  # the measured models have pairs at 0.69 of the nearest distance


def noisy(density, xyz, snr, seed):
    n = density.data.shape[0]
    z, y, x = (np.indices(density.data.shape) - n // 2) * density.pixel_A
    away, _ = cKDTree(xyz).query(np.stack([x, y, z], -1).reshape(-1, 3), distance_upper_bound=1.6)
    sigma = density.data.ravel()[away < 1.6].std() / np.sqrt(snr)
    noise = np.random.default_rng(seed).standard_normal(density.data.shape, np.float32)
    return Map(density.data + np.float32(sigma) * noise, density.pixel_A)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="*", type=Path)
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    models = {"sphere": sites("fcc", 3.92, 9.0)}
    for path in options.models:
        xyz = pd.read_csv(path)[["x_A", "y_A", "z_A"]].to_numpy()
        models[path.stem] = xyz - xyz.mean(0)
    print(
        "| model | atoms | centre | noise | maps | found | invented | RMSD A | CPU s a map |\n|" + "---|" * 9
    )
    for name, xyz in models.items():
        clean = simulate_density(xyz, "Pt", BOX, PIXEL_A)
        for snr, count in ((np.inf, 1), (1.0, options.seeds)):
            for centre in CENTRES:
                found, invented, squared, begin = 0, 0, [], time.process_time()
                for seed in range(count):
                    density = clean if np.isinf(snr) else noisy(clean, xyz, snr, seed)
                    atoms = detect_atoms(density, "Pt", centre=centre, closest=CLOSEST)
                    pairs = mutual_pairs(atoms.xyz_A, xyz, 1.0)
                    found += len(pairs)
                    invented += len(atoms.xyz_A) - len(pairs)
                    squared.append(np.square(atoms.xyz_A[pairs[:, 0]] - xyz[pairs[:, 1]]).sum(1).mean())
                spent = (time.process_time() - begin) / count
                print(
                    f"| {name} | {len(xyz)} | {centre} | {'none' if np.isinf(snr) else 'SNR 1'} | {count} | "
                    f"{100 * found / (count * len(xyz)):.1f} % | {invented} | {np.sqrt(np.mean(squared)):.3f} | "
                    f"{spent:.1f} |",
                    flush=True,
                )


if __name__ == "__main__":
    sys.exit(main())
