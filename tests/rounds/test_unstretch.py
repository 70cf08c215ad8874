"""The mean strain along the line of sight: taken away where few views cannot know it, left where many do."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from perrin.files.accepted import Frames
from perrin.files.elements import element
from perrin.imaging.blobs import filter_frames
from perrin.imaging.lattice import sites
from perrin.imaging.profile import Profile, overlap
from perrin.imaging.rotations import quaternions
from perrin.poses.polish import polish
from perrin.rounds.injected import rigid_fit
from perrin.rounds.model import _judged
from perrin.rounds.refine import HIGHPASS, UNRELATED_DEG, Solution, free_step
from perrin.rounds.unstretch import MEAN_STRAIN, stretch_covariance, unstretched
from perrin.simulate.images import PLAIN, simulate_boxes

PIXEL, FRAMES, PT = 0.358, 160, element("Pt")
MEAN_VIEW = Rotation.from_rotvec([0.5, -0.3, 0.8])
BRIGHT = 4.0  # of an atom, in units of the noise: poses of single frames are known to some tenths of a degree
PROFILE = Profile.gaussian(0.45, HIGHPASS)


def filmed(xyz, rotation, seed=1):
    """Frames of atoms, and the solution that has their truth."""
    images = simulate_boxes(
        xyz, quaternions(rotation), np.zeros((FRAMES, 2)), 64, PIXEL, BRIGHT, PLAIN, seed=seed
    )
    number, nothing = np.arange(FRAMES), np.zeros((FRAMES, 2))
    data = Frames(images, number, number, nothing.astype(int), nothing, np.ones(FRAMES), PIXEL)
    amplitude, zero = np.full(FRAMES, BRIGHT), np.zeros(FRAMES)
    known = Solution(
        rotation, nothing, amplitude, zero, zero, xyz, np.ones(len(xyz)), PROFILE, UNRELATED_DEG,
    )  # fmt: skip
    return data, known


def tilted(rms_deg):
    """Orientations that stay about one, with an rms tilt an axis across the beam."""
    rng = np.random.default_rng(4)
    tilt = np.radians(rms_deg) * rng.standard_normal((FRAMES, 3))
    return (Rotation.from_rotvec(tilt) * MEAN_VIEW).as_matrix()


def test_a_stretch_that_few_views_cannot_know_is_taken_away():
    """Would catch the wrong direction or sign, poses that stay with the stretched model, and bars that leave it out."""
    xyz = sites("fcc", PT.lattice_A, 7.4, (0.4, 0.3, 0.2))
    rotation = tilted(4.0)
    data, known = filmed(xyz, rotation)
    along = MEAN_VIEW.as_matrix()[2]
    stretch = np.eye(3) + 0.03 * np.outer(along, along)
    # turns about the mean view are smaller by as much
    turns = (Rotation.from_matrix(rotation) * MEAN_VIEW.inv()).as_rotvec() * [1 / 1.03, 1 / 1.03, 1]
    start = Solution(
        (Rotation.from_rotvec(turns) * MEAN_VIEW).as_matrix(), known.shift_A, known.amplitude, known.gain, known.sigma,
        xyz @ stretch, known.occupancy, PROFILE, UNRELATED_DEG,
    )  # fmt: skip
    found, strain = unstretched(data, start, PT)
    assert strain["strain"] == pytest.approx(0.03, abs=0.003) and strain["held"] > 0.95
    assert abs(np.dot(strain["direction"], along)) > 0.995
    height = (found.xyz_A - found.xyz_A.mean(0)) @ along
    true = (xyz - xyz.mean(0)) @ along
    assert (height @ true) / (true @ true) == pytest.approx(1, abs=0.004)
    tilt, true = (
        (Rotation.from_matrix(poses) * MEAN_VIEW.inv()).as_rotvec()[:, :2]
        for poses in (found.rotation, rotation)
    )
    assert (tilt * true).sum() / np.square(true).sum() == pytest.approx(1, abs=0.012), "turns, too"
    added = stretch_covariance(found.xyz_A, strain)
    assert 0.8 * MEAN_STRAIN < strain["sigma"] <= MEAN_STRAIN
    far = np.argmax(abs(height))
    np.testing.assert_allclose(along @ added[far] @ along, (strain["sigma"] * height[far]) ** 2, rtol=0.03)


def test_a_strain_that_the_views_know_stays():
    """Would catch crystals made cubic whose strain is measured."""
    along = np.array([0.0, 0.6, 0.8])
    xyz = sites("fcc", PT.lattice_A, 7.4, (0.4, 0.3, 0.2)) @ (np.eye(3) + 0.02 * np.outer(along, along))
    data, known = filmed(xyz, Rotation.random(FRAMES, rng=np.random.default_rng(2)).as_matrix())
    found, strain = unstretched(data, known, PT)
    assert strain["held"] < 0.1 and strain["sigma"] < 0.3 * MEAN_STRAIN
    assert np.abs(found.xyz_A - xyz).max() < 0.12, "a step of the atoms at this dose"


def test_atoms_on_no_lattice_are_left_alone():
    """Would catch a strain measured on atoms that have none."""
    rng = np.random.default_rng(6)
    xyz = rng.uniform(-7, 7, (200, 3))
    data, known = filmed(xyz, tilted(4.0))
    found, strain = unstretched(data, known, PT)
    assert found is known and strain is None
    assert not stretch_covariance(xyz, None).any()


def test_atoms_of_a_narrow_window_are_held_and_their_bars_are_their_errors():
    """Would catch a model stage that leaves the held atoms, their poses or their bars behind."""
    rng = np.random.default_rng(8)
    xyz = sites("fcc", PT.lattice_A, 7.4, (0.4, 0.3, 0.2))
    xyz = xyz + rng.normal(0, 0.04, xyz.shape)
    data, known = filmed(xyz, tilted(5.0))
    rested = known
    for _ in range(2):
        filtered = filter_frames(data.images, PIXEL, PROFILE)
        K = overlap(PROFILE, PROFILE, PIXEL)
        poses = rested.rotation, rested.shift_A, rested.amplitude
        moved, o, _, *poses = free_step(filtered, rested.xyz_A, rested.occupancy, K, *poses)
        *poses, gain, sigma = polish(filtered, moved, o, K, *poses, 3)
        rested = Solution(*poses, gain, sigma, moved, o, PROFILE, UNRELATED_DEG)
    free, strain = unstretched(data, rested, PT)
    held, atoms, numbers, _ = _judged(data, free, "Pt", strain)
    along = np.array(strain["direction"])

    def depth(found):
        off = rigid_fit(found, xyz) - xyz
        return off @ along

    assert numbers["scatter_least_seen"]["held"] > 0.3
    assert depth(held.xyz_A).std() < 0.75 * depth(free.xyz_A).std()
    bars = np.sqrt(np.einsum("i,nij,j->n", along, atoms.covariance_A2, along))
    assert np.sqrt(np.square(depth(atoms.xyz_A) / bars).mean()) == pytest.approx(1, abs=0.25)
    assert held.gain.mean() == pytest.approx(free.gain.mean(), rel=0.01)
