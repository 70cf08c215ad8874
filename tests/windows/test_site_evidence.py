"""Sufficient statistics against the images themselves, and lives found together."""

import numpy as np
import pytest
from planted import BOX, HEIGHT, PIXEL, PROFILE, images_of, particle, walk

from perrin.imaging.blobs import high_passed
from perrin.imaging.profile import overlap
from perrin.windows.evidence import assemble, blocks, collect, sum_overlaps
from perrin.windows.lives import changes_of, thresholds
from perrin.windows.refit import refit_poses, relax_sites
from perrin.windows.response import linear
from perrin.windows.solve import solve_lives

K = overlap(PROFILE, PROFILE, PIXEL)
SHIFT = np.zeros((1, 2))


def evidence_of(images, xyz, rotation, guess, amplitude=HEIGHT):
    frames = len(images)
    one = np.zeros(frames, int)
    b, u = collect(images, PIXEL, PROFILE, one, xyz[None], rotation, np.zeros((frames, 2)))
    present = np.broadcast_to(guess, b.shape)
    return assemble(np.arange(frames), b, u, present, np.full(frames, amplitude), K, 2.5)


def drawn(xyz, occupancy, rotation):
    """The high-passed model image of one frame, drawn pixel by pixel."""
    axis = (np.arange(BOX) - BOX // 2) * PIXEL
    u = xyz @ rotation[:2].T
    r = np.hypot(axis[None, None, :] - u[:, 0, None, None], axis[None, :, None] - u[:, 1, None, None])
    return np.tensordot(occupancy, PROFILE.value(r), 1)


def test_ratios_are_those_of_the_images():
    """Would catch any error of sign, factor or overlap: |y - a M|^2 / 2 with and without the atom, drawn."""
    xyz, rotation = particle(), walk(4)
    rng = np.random.default_rng(1)
    present = (rng.random((4, len(xyz))) < 0.8).astype(np.float32)
    images = images_of(xyz, present, rotation)
    state = evidence_of(images, xyz, rotation, present)
    state.used[:] = True
    state.response = linear()
    filtered = high_passed(images, PIXEL, PROFILE.highpass)
    for f in range(4):
        for j in (0, 7, 20):
            others = present[f].copy()
            others[j] = 0
            without = drawn(xyz, others, rotation[f])
            with_it = without + drawn(xyz[[j]], np.ones(1), rotation[f])
            a = state.amplitude[f]
            worth = [((filtered[f] - a * model) ** 2).sum() / 2 for model in (without, with_it)]
            assert np.isclose(state.ratio(j)[f], worth[0] - worth[1], atol=0.02)
    np.testing.assert_allclose(state.ratios()[:, 7], state.ratio(7), atol=1e-3)


def test_overlaps_follow_a_changed_life():
    """Would catch sums that drift away when lives change one by one."""
    xyz, rotation = particle(), walk(30)
    state = evidence_of(images_of(xyz, np.ones((30, len(xyz))), rotation), xyz, rotation, 1.0)
    state.set_present(3, np.arange(30) < 10)
    state.set_present(9, np.zeros(30))
    state.set_present(3, np.arange(30) < 20)
    kept = state.m.copy()
    sum_overlaps(state)
    np.testing.assert_allclose(kept, state.m, atol=1e-2)


@pytest.fixture(scope="module")
def leaving():
    """300 frames: 8 atoms leave at 140, all neighbours of each other; one arrives at 200."""
    xyz, rotation = particle(), walk(300, seed=3)
    gone = np.argsort(xyz[:, 2])[:8]
    late = int(np.argmax(xyz[:, 2]))
    present = np.ones((300, len(xyz)))
    present[140:, gone] = 0
    present[:200, late] = 0
    return xyz, rotation, present, gone, late, images_of(xyz, present, rotation, seed=4)


def test_neighbours_that_leave_together_are_dated_apart(leaving):
    """Would catch lives that hide each other: from a blend of half-present atoms all are found, none invented."""
    xyz, rotation, present, gone, late, images = leaving
    state = evidence_of(images, xyz, rotation, present.mean(0))
    solve_lives(state, thresholds(len(xyz), 300, 0.01, 1.15))
    changed = {j: changes_of(state.present[:, j] > 0.5) for j in range(len(xyz))}
    changed = {j: list(c) for j, c in changed.items() if len(c)}
    assert set(changed) == {*gone, late}
    assert all(abs(changed[j][0] - 140) <= 8 for j in gone) and abs(changed[late][0] - 200) <= 8


def test_two_sites_along_the_view_are_not_taken_for_a_hop():
    """Would catch an atom that seems to step aside while the view is along the line between two sites."""
    xyz = particle()
    rotation = walk(240, seed=7)
    atom = int(np.argmax(np.linalg.norm(xyz, axis=1)))
    # a site one step further out, off the lattice's axes (columns are another trap); from frame 100 to 160 the beam
    # is along that step
    beam = np.array([0.35, 0.25, 0.9]) / np.linalg.norm([0.35, 0.25, 0.9])
    beam = beam * np.sign(beam @ xyz[atom])
    step = 2.77 * beam
    across = np.cross(beam, [1.0, 0, 0])
    across /= np.linalg.norm(across)
    rotation[100:160] = [across, np.cross(beam, across), beam]
    sites = np.concatenate([xyz, [xyz[atom] + step]])
    present = np.ones((240, len(sites)))
    present[:, -1] = 0
    images = images_of(sites, present, rotation, seed=8)
    guess = present.copy()
    guess[100:160, atom], guess[100:160, -1] = 0, 1
    state = evidence_of(images, sites, rotation, guess)
    solve_lives(state, thresholds(len(sites), 240, 0.01, 1.15))
    np.testing.assert_array_equal(state.present, present)


def test_a_mis_posed_stretch_is_no_mass_departure(leaving):
    """Would catch 60 frames with a wrong pose turning into atoms that vanish and return."""
    xyz, rotation, _, _, _, _ = leaving
    images = images_of(xyz, np.ones((300, len(xyz))), rotation, seed=5)
    wrong = rotation.copy()
    wrong[100:160] = wrong[100:160] @ walk(1, seed=9)[0]
    state = evidence_of(images, xyz, wrong, 1.0)
    solve_lives(state, thresholds(len(xyz), 300, 0.01, 1.15))
    assert not state.used[110:150].any() and state.used[:90].all()
    assert all(len(changes_of(life > 0.5)) == 0 for life in state.present.T)


def test_a_new_site_moves_to_its_atom(leaving):
    """Would catch a site dated where the lattice puts it and not where the atom is."""
    xyz, rotation, present, _, late, images = leaving
    off = xyz.copy()
    off[late] += [0.2, -0.2, 0.15]
    state = evidence_of(images, off, rotation, present)
    moved = relax_sites(
        images,
        PIXEL,
        PROFILE,
        K,
        np.zeros(300, int),
        off[None],
        state,
        rotation,
        np.zeros((300, 2)),
        [late],
        2.2,
    )
    assert np.linalg.norm(moved[0, late] - xyz[late]) < 0.1
    assert np.array_equal(np.delete(moved[0], late, 0), np.delete(off, late, 0))


def test_poses_are_refined_against_what_was_there(leaving):
    """Would catch a refit against a blend: poses half a degree off come back to the noise, evidence is read anew."""
    xyz, rotation, present, _, _, images = leaving
    rng = np.random.default_rng(2)
    from perrin.imaging.rotations import angles_between, rotvec_matrices

    start = rotvec_matrices(rng.normal(0, np.radians(1.5), (300, 3))) @ rotation
    state = evidence_of(images, xyz, start, present)
    before = state.b.copy()
    R, _ = refit_poses(
        images, PIXEL, PROFILE, K, np.zeros(300, int), xyz[None], state, start, np.zeros((300, 2)), [2.5],
        np.zeros((300, 2)), np.ones(300),
    )  # fmt: skip
    assert np.median(angles_between(R, rotation)) < 0.5 * np.median(angles_between(start, rotation))
    assert state.b.sum() > before.sum()


def test_blocks_cover_all_frames_once():
    """Would catch a frame that is read twice or never."""
    label = np.repeat([0, 0, 1, 2], [100, 57, 3, 230])
    rows = np.concatenate([np.arange(one.start, one.stop) for one in blocks(label, 100)])
    assert np.array_equal(rows, np.arange(390))
    assert all(len(set(label[one])) == 1 and one.stop - one.start <= 100 for one in blocks(label, 100))


@pytest.mark.parametrize("left", [340, 600])
def test_an_atom_seen_end_on_does_not_step_aside(left):
    """Would catch a phantom visit: over it in the view, an atom is taken to have left early, or to have been away."""
    frames, stay = 600, slice(303, 354)
    u = np.zeros((frames, 8, 2), np.float32)
    u[:, 1, 0] = 4.0
    u[stay, 1, 0] = 0.25
    u[:, 2:, 1] = 6.0 + 4.0 * np.arange(6)  # six more atoms, far off, hold the amplitude
    truth = np.ones((frames, 8), np.float32)
    truth[left:, 0] = truth[:, 1] = 0
    guess = truth.copy()
    guess[309:left, 0] = guess[stay.stop : 360, 0] = 0
    guess[stay, 1] = 1
    far = np.linalg.norm(u[:, :, None] - u[:, None], axis=-1)
    table = np.interp(far**2, np.arange(len(K.table)) * K.dq, K.table[:, 0], right=0)
    noise = np.random.default_rng(11).standard_normal((frames, 8))
    root = np.linalg.cholesky(table + 1e-6 * np.eye(8))
    height = np.sqrt(1.5 / K.table[0, 0])  # an atom is worth 0.75 nats a frame
    b = height * np.einsum("fij,fj->fi", table, truth) + np.einsum("fij,fj->fi", root, noise)
    state = assemble(np.arange(frames), b.astype(np.float32), u, guess, np.full(frames, height), K, 2.5)
    solve_lives(state, thresholds(400, 1200, 0.01, 1.15))
    assert not state.present[:, 1].any()
    changes = changes_of(state.present[:, 0])
    assert len(changes) == (left < frames) and all(abs(changes - left) <= 15)


def test_a_view_that_lasts_takes_no_atom_away():
    """Would catch errors of a zone axis, the same in every frame of a long stay, taken for departures."""
    frames, sites, stay = 600, 60, slice(470, 600)
    u = np.zeros((frames, sites, 2), np.float32)
    u[..., 0] = 5.0 * np.arange(sites)
    rng = np.random.default_rng(5)
    truth = np.ones((frames, sites), np.float32)
    truth[250:, 3] = 0
    seen = truth.copy()
    seen[stay] *= 1 + 0.4 * rng.standard_normal(sites)  # a column of five that shows four and a half, say
    height = np.sqrt(1.5 / K.table[0, 0])
    b = K.table[0, 0] * height * seen + np.sqrt(K.table[0, 0]) * rng.standard_normal((frames, sites))
    gone = {}
    for lasting in (False, True):
        b32, level = b.astype(np.float32), np.ones((frames, sites), np.float32)
        state = assemble(np.arange(frames), b32, u, level, np.full(frames, height), K, 2.5)
        solve_lives(state, thresholds(sites, frames, 0.01, 1.15), lasting=lasting)
        gone[lasting] = {
            j: changes_of(state.present[:, j]) for j in range(sites) if not state.present[:, j].all()
        }
    assert len(gone[False]) > 3, "the stay must be able to mislead"
    assert list(gone[True]) == [3] and abs(gone[True][3][0] - 250) <= 10
    assert state.trust[500:].max() < 0.3 and np.median(state.trust[:400]) > 0.8


def test_errors_of_a_slow_particle_take_no_atom_away():
    """Would catch sums over 20 frames taken to tell how long errors last where a particle turns by a degree a frame."""
    frames, sites, view = 2000, 60, 125
    u = np.zeros((frames, sites, 2), np.float32)
    u[..., 0] = 5.0 * np.arange(sites)
    rng = np.random.default_rng(8)
    truth = np.ones((frames, sites), np.float32)
    truth[900:, 3] = 0
    error = np.repeat(0.4 * rng.standard_normal((frames // view, sites)), view, axis=0)
    height = np.sqrt(1.5 / K.table[0, 0])
    b = K.table[0, 0] * height * truth * (1 + error)
    b += np.sqrt(K.table[0, 0]) * rng.standard_normal((frames, sites))
    gone = {}
    for step_deg in (1.0, 2.5):
        b32, level = b.astype(np.float32), np.ones((frames, sites), np.float32)
        state = assemble(np.arange(frames), b32, u, level, np.full(frames, height), K, step_deg)
        solve_lives(state, thresholds(sites, frames, 0.01, 1.15))
        gone[step_deg] = {
            j: changes_of(state.present[:, j]) for j in range(sites) if not state.present[:, j].all()
        }
    assert len(gone[2.5]) > 1, "the errors must be able to mislead"
    assert list(gone[1.0]) == [3] and abs(gone[1.0][3][0] - 900) <= view
