"""A map of the shared multislice movie from its true poses: the atoms must stand out of the interstices."""

import csv
from pathlib import Path

import mrcfile
import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial import KDTree

from perrin.files.records import Poses
from perrin.maps.fsc import fsc
from perrin.maps.halves import half_sets
from perrin.maps.reconstruct import reconstruct_sets

DATA = Path(__file__).resolve().parents[2] / "../shared/data/pt314"
PIXEL, BOX, FRAMES = 0.358, 80, 600


def columns(path, *names):
    with path.open() as file:
        return np.array([[float(row[name]) for name in names] for row in csv.DictReader(file)])


@pytest.mark.skipif(not DATA.exists(), reason="the shared movie pt314 is not beside the project")
def test_atoms_stand_out():
    """Catches any convention of poses, shifts or hand that a planted movie of ours might share with the map."""
    truth = columns(DATA / "truth/frames.csv", "x_px", "y_px", "qw", "qx", "qy", "qz")[:FRAMES]
    centre = np.rint(truth[:, :2]).astype(int)
    with mrcfile.mmap(DATA / "movie.mrc", permissive=True) as movie:
        counts = movie.data[:FRAMES].astype(np.float32)
    counts = np.pad((counts - counts.mean(0)) / np.sqrt(17), ((0, 0), (BOX, BOX), (BOX, BOX)))
    low = BOX - BOX // 2
    boxes = np.stack(
        [frame[y + low : y + low + BOX, x + low : x + low + BOX] for frame, (x, y) in zip(counts, centre)]
    )
    poses = Poses(
        np.arange(FRAMES),
        truth[:, 2:],
        (truth[:, :2] - centre) * PIXEL,
        np.ones(FRAMES),
        np.full(FRAMES, np.nan),
    )
    whole, *halves = reconstruct_sets(boxes, poses, PIXEL, half_sets(FRAMES), mask_radius_A=14)
    atoms = columns(DATA / "truth/atoms_state1.csv", "x_A", "y_A", "z_A")
    points = np.random.default_rng(0).uniform(-8, 8, (50000, 3))
    between = points[(KDTree(atoms).query(points)[0] > 1.75) & (np.linalg.norm(points, axis=1) < 8)]

    def density(at):
        return ndimage.map_coordinates(whole.data, (at[:, ::-1] / PIXEL + BOX // 2).T, order=3)

    assert np.mean(density(atoms) > np.quantile(density(between), 0.99)) > 0.99
    _, limit = fsc(*halves)
    assert limit < 1.0
