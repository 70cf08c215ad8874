"""The path of the lattice's origin: planted on a lattice, with a box that jumps and a centre that errs."""

import numpy as np
import pytest
from drawing import walk

from perrin.imaging import lattice
from perrin.poses.evidence import Spots
from perrin.poses.shifts import body_centre, cell_offsets, track_shifts

A, PIXEL_A, F, ALPHA = 3.92, 0.358, np.array([1.0, 0.9, 0.7, 0.4, 0.3]), 0.05
SLIPS = lattice.slip_vectors("fcc", A)


def planted(frames=300, seed=0, noise=1.0):
    """What path_coefficients would give for a lattice whose origin wanders: spots, values, and the truth."""
    rng = np.random.default_rng(seed)
    rotation = walk(frames, 2.5, rng)
    some = lattice.reflections("fcc", A, 0.92)
    place = np.cumsum(0.13 * rng.normal(size=(frames, 2)), axis=0)
    offset = np.array([0.6, -0.4, 0.9])
    centre_field = place + (rotation @ offset)[:, :2] + 0.35 * rng.normal(size=(frames, 2))
    box = np.rint(centre_field / PIXEL_A).astype(int)
    shift, centre = place - box * PIXEL_A, centre_field - box * PIXEL_A
    turned = rotation @ some.G.T
    near = np.abs(turned[:, 2]) < 0.05
    k = np.moveaxis(turned[:, :2], 1, 2)[near]
    frame, which = np.nonzero(near)
    norm = np.full(len(k), 4000.0)
    values = F[some.shell[which]] * ALPHA * norm * np.exp(-2j * np.pi * (k * shift[frame]).sum(1))
    values += noise * np.sqrt(norm / 2) * (rng.normal(size=len(k)) + 1j * rng.normal(size=len(k)))
    first = np.r_[0, np.cumsum(near.sum(1))].astype(np.int64)
    spot = Spots(
        first,
        np.zeros((len(k), 3), np.float32),
        some.shell[which].astype(np.int32),
        k.astype(np.float32),
        np.ones(len(k), np.complex64),
        norm.astype(np.float32),
    )
    return spot, values.astype(np.complex64), rotation, box, centre, shift, offset


def test_origin_is_followed_without_slips():
    """Would catch a walk about the tracked centre (slips every ten frames) and a box's jump of the wrong sign."""
    spot, values, rotation, box, centre, shift, offset = planted()
    found, chosen, _ = track_shifts(spot, values, F, ALPHA, rotation, box, centre, PIXEL_A, [offset])
    miss = np.linalg.norm(found - shift, axis=1)
    assert (miss < 0.4).mean() > 0.95
    assert np.sqrt(np.mean(np.square(found - shift)[miss < 0.4])) < 0.13  # a step of the grid is 0.18
    np.testing.assert_array_equal(chosen, offset)


def test_the_right_offset_is_the_likeliest():
    """Would catch an offset applied with the wrong sign or in the wrong frame."""
    spot, values, rotation, box, centre, _, offset = planted(seed=1)
    candidates = [-offset, np.zeros(3), offset, offset + [1.3, 1.3, 0]]
    _, chosen, likelihood = track_shifts(spot, values, F, ALPHA, rotation, box, centre, PIXEL_A, candidates)
    assert likelihood.argmax() == 2
    np.testing.assert_array_equal(chosen, offset)


def test_body_centre_in_spite_of_slips():
    """Would catch a fit that slipped frames drag along, or one in the lab frame."""
    rng = np.random.default_rng(2)
    rotation = walk(400, 3.0, rng)
    offset = np.array([1.1, 0.3, -0.7])
    shift = rng.normal(0, 0.3, (400, 2))
    centre = shift + (rotation @ offset)[:, :2] + 0.3 * rng.normal(size=(400, 2))
    slipped = rng.random(400) < 0.2
    shift[slipped] += (rotation[slipped] @ SLIPS[5])[:, :2]
    assert body_centre(rotation, shift, centre) == pytest.approx(offset, abs=0.12)


def test_offsets_fill_the_cell_once():
    """Would catch a cell cut too small, or places that differ by a lattice vector only."""
    points = cell_offsets(SLIPS, 0.27)
    volume = lattice.volume_per_atom("fcc", A)
    assert len(points) == pytest.approx(volume / 0.27**3, rel=0.2)
    away = np.linalg.norm(points, axis=1)
    for slip in SLIPS[1:]:
        assert (away <= np.linalg.norm(points - slip, axis=1) + 1e-9).all()
