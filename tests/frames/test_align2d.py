import numba
import numpy as np
from scipy.ndimage import affine_transform

from perrin.frames import align2d
from perrin.frames.bands import band_pass

PIXEL_A = 0.358


def pattern(n=64, seed=0):
    rng = np.random.default_rng(seed)
    r = np.hypot(*(np.indices((n, n)) - n // 2)) * PIXEL_A
    image = band_pass(rng.standard_normal((1, n, n)), PIXEL_A, 0.3, 0.7)[0] * np.exp(-((r / 6) ** 4))
    return (image / image.std()).astype(np.float32)


def moved(image, angle_deg, shift):
    """frame(x) = class(R(-angle) (x - shift)) by spline interpolation, independent of the module."""
    n = len(image)
    c, s = np.cos(np.radians(angle_deg)), np.sin(np.radians(angle_deg))
    back = np.array([[c, -s], [s, c]])  # rows y, x: (y, x) of the class from (y, x) of the frame
    centre = np.array([n // 2, n // 2])
    offset = centre - back @ (centre + np.asarray(shift)[::-1])
    return affine_transform(image, back, offset, order=5, mode="constant")


def test_oversampling_keeps_values_and_centre():
    """Catches a shifted or scaled fine grid: every second sample is the image itself."""
    image = pattern()[None]
    fine = align2d.upsample(image)
    assert np.abs(fine[0, ::2, ::2] - image[0]).max() < 1e-3


def test_sums_undo_turns_and_shifts():
    """Catches an inverse in the wrong order: moved copies add up to the pattern."""
    image = pattern()
    angle = np.array([0.0, 12, -17, 5])
    shift = np.array([[0, 0], [1.5, -2], [-0.7, 3], [2, 2.0]])
    frames = np.stack([moved(image, a, s) for a, s in zip(angle, shift)]).astype(np.float32)
    total = align2d.class_sums(frames, np.zeros(4, int), angle, shift, np.zeros(4, np.int64), 1)[0, 0] / 4
    inner = np.s_[12:-12, 12:-12]
    assert np.corrcoef(total[inner].ravel(), image[inner].ravel())[0, 1] > 0.99


def test_planted_motion_is_found():
    """Catches signs and units of the search: turns and shifts relative to each other are recovered."""
    rng = np.random.default_rng(1)
    image = pattern()
    angle = rng.uniform(-10, 10, 20)
    shift = rng.uniform(-2, 2, (20, 2))
    frames = np.stack([moved(image, a, s) for a, s in zip(angle, shift)])
    frames = (frames + 0.5 * rng.standard_normal(frames.shape)).astype(np.float32)
    found = align2d.align(frames, PIXEL_A, np.zeros(20, int), band_A1=(0.28, 0.75), iterations=6)
    turn = found["angle_deg"] - angle
    assert (turn - np.median(turn)).std() < 1.0
    # a common turn of the class turns the shifts of nobody: they are measured in the frame
    error = found["shift_px"] - shift
    assert (error - np.median(error, axis=0)).std() < 0.3
    assert found["correlation"].min() > 0.5


def test_zero_is_on_the_grid():
    """Catches a search that never tries no shift: equal frames stay where they are."""
    frames = np.repeat(pattern()[None], 12, axis=0)
    found = align2d.align(frames, PIXEL_A, np.zeros(12, int), band_A1=(0.28, 0.75), iterations=1)
    assert np.abs(found["shift_px"]).max() < 0.05
    assert np.abs(found["angle_deg"]).max() < 0.3
    assert found["correlation"].min() > 0.98


def test_frames_join_their_own_block_or_a_neighbour():
    """Catches classes that reach through time, and blocks that cannot exchange frames at all."""
    patterns = [pattern(seed=s) for s in range(4)]
    rng = np.random.default_rng(2)
    which = np.repeat(np.arange(4), 10)
    which[9], which[35] = 1, 0  # one frame that belongs to the next block, one that looks like a far one
    frames = np.stack([patterns[k] for k in which]) + 0.5 * rng.standard_normal((40, 64, 64))
    block = np.repeat(np.arange(4), 10)
    found = align2d.align(frames.astype(np.float32), PIXEL_A, block, band_A1=(0.28, 0.75), iterations=2)
    assert (np.abs(found["member"] - block) <= 1).all()
    assert found["member"][9] == 1
    own = np.delete(np.arange(40), [9, 35])
    assert (found["member"][own] == which[own]).all()


def test_noise_does_not_meet_itself():
    """Catches frames compared with averages that hold them: noise correlates no better than by chance."""
    noise = np.random.default_rng(3).standard_normal((80, 48, 48)).astype(np.float32)
    found = align2d.align(noise, PIXEL_A, np.arange(80) // 20, iterations=1, shift_reach_px=2)
    index = align2d.band_layout(48, PIXEL_A, 1 / 3, 1.0)[0]
    assert found["correlation"].max() < 5.5 / np.sqrt(2 * len(index))


def test_results_do_not_depend_on_threads():
    """Catches races and sums in the order of threads."""
    rng = np.random.default_rng(4)
    frames = (pattern() + rng.standard_normal((40, 64, 64))).astype(np.float32)
    before = numba.get_num_threads()
    results = []
    for threads in {1, numba.config.NUMBA_NUM_THREADS}:
        numba.set_num_threads(threads)
        results.append(align2d.align(frames, PIXEL_A, np.arange(40) // 20, iterations=2))
    numba.set_num_threads(before)
    for one in results[1:]:
        for name, value in one.items():
            assert np.array_equal(value, results[0][name]), name
