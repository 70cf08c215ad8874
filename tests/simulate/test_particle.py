import numpy as np
import pytest

from perrin.simulate.particle import ball, build_states, coordination, remove_atoms, truncated_octahedron

PERFECT = {
    (5, 0): (85, {4: 6, 7: 36, 9: 24, 12: 19}),
    (6, 1): (140, {6: 24, 7: 24, 9: 48, 12: 44}),
    (7, 2): (201, {6: 24, 7: 36, 8: 6, 9: 56, 12: 79}),
    (8, 2): (314, {6: 24, 7: 48, 8: 6, 9: 96, 12: 140}),
}


@pytest.mark.parametrize("shape", PERFECT)
def test_truncated_octahedra_have_the_known_coordination(shape):
    """Catches wrong parity, cut or neighbour cut-off: atoms per coordination number are known exactly."""
    atoms, expected = PERFECT[shape]
    sites = truncated_octahedron(*shape)
    assert len(sites) == atoms
    numbers, counts = np.unique(coordination(sites * 3.92 / 2, 3.92), return_counts=True)
    assert dict(zip(numbers.tolist(), counts.tolist())) == expected


def test_ball_of_known_size():
    """Catches a ball that misses its border sites: r^2 <= 10 (a/2)^2 holds 79 atoms."""
    assert len(ball(np.sqrt(10.001) * 3.92 / 2, 3.92)) == 79


def test_the_least_coordinated_leave_first():
    """Catches counts that are not updated: after its six corners no atom of an octahedron has 4."""
    sites = truncated_octahedron(5, 0) * 3.92 / 2
    stays = remove_atoms(sites, 6, 3.92)
    assert len(stays) == 79
    left = np.setdiff1d(np.arange(85), stays)
    assert (np.sort(np.abs(sites[left]), 1)[:, :2] == 0).all()
    assert coordination(sites[stays], 3.92).min() > 4


def test_direction_decides_among_equals():
    """Catches a sign error of the direction: the corner on its side leaves first."""
    sites = truncated_octahedron(5, 0) * 3.92 / 2
    gone = np.setdiff1d(np.arange(85), remove_atoms(sites, 1, 3.92, direction=[0, 1, 0]))
    assert np.allclose(sites[gone[0]] / sites.max(), [0, 1, 0])


def test_states_share_ids_and_displacements():
    """Catches atoms that change identity at an event, or move although their neighbours stay."""
    spec = {"lose": [{"frame": 0, "n_atoms": 20, "direction": [1, 0, 0]}, {"frame": 50, "n_atoms": 15}]}
    (first, before, xyz), (event, after, xyz_after) = build_states(spec, 3.9242, seed=3)
    assert (first, event, len(before), len(after)) == (0, 50, 181, 166)
    assert np.allclose(xyz.mean(0), 0)
    assert before.tolist() == list(range(1, 182))
    assert np.isin(after, before).all()
    moved = np.linalg.norm(xyz_after - xyz[after - 1], axis=1)
    assert np.median(moved) == 0
    assert 0 < moved.max() < 0.1
    nearest = np.sort(np.linalg.norm(xyz[:, None] - xyz[None], axis=-1), 1)[:, 1]
    assert abs(nearest.mean() - 3.9242 * 1.015 / np.sqrt(2)) < 0.12
