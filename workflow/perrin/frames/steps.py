"""The particle's steps from frame to frame, read from its lattice, and the path that fits them.

Lattice energy and shadow say where the particle is, each frame for itself and to a pixel or two. How far it went since
the frame before is known better: the crystal has turned by a few degrees only, and the waves of its lattice have moved
with it. Steps and places together are one least-squares problem, banded in time.
"""

import numpy as np
from scipy import fft
from scipy.linalg import solveh_banded

from perrin.frames import energy, pixels
from perrin.frames.energy import BIN_PX, SPECTRUM_STEP

LAGS = 3  # a frame is compared with so many before it
LIKENESS = 0.8  # of the lattice waves of two frames in a row, to the power of the lag between others
REACH_PX = 5.0  # steps looked at
STEP_PX = 0.5
STEP_TEMPER = 0.2  # the waves turn and change strength between frames, which the likelihood does not know
PLACE_TEMPER = 1 / 3  # beside steps: the errors of lattice energy and shadow last for tens of frames
PLACE_STEP = 2  # bins over which the evidence is taken for a parabola
RARE_STEP = 4.0  # times the walk: a longer step pulls less and less
ROUNDS = 8
FARTHEST_PX = 4.0  # from the path that is refined
CHUNK = 64


def step_evidence(frames, place, pixel_A, excess, radius_A):
    """Log likelihood of the steps over 1 to LAGS frames, at steps of STEP_PX up to REACH_PX about the boxes' own.

    frames : (n, height, width), noise 1; place : (n, 2) px, roughly right; excess : the particle's power over the
    noise at frequencies (i + 1/2) SPECTRUM_STEP
    -> evidence, a list of (n - lag, m, m) float32; middle of the boxes (n, 2) px
    For two images of unit noise that share a random image of spectrum S with correlation r, the log likelihood ratio
    holds their product with the weight r S / ((1 + S)^2 - (r S)^2) at every frequency.
    """
    n, lags = len(frames), range(1, min(LAGS, len(frames) - 1) + 1)
    size = fft.next_fast_len(int(np.ceil(2.2 * radius_A / pixel_A)) // 2) * 2
    size = min(size, min(frames.shape[1:]) // 2 * 2)
    corner = np.rint(place).astype(int) - size // 2
    y, x = (np.mgrid[:size, :size] - size // 2) * pixel_A / radius_A
    window = np.sqrt(np.clip(1 - x**2 - y**2, 0, None)).astype(np.float32)
    k = energy.frequencies((size, size), pixel_A)
    at = (np.arange(len(excess)) + 0.5) * SPECTRUM_STEP
    s = np.interp(k, at, np.clip(excess, 0, None), right=0.0)
    twice = np.ones(s.shape[1])
    twice[1 : (size + 1) // 2] = 2  # of a pair of conjugate terms rfft2 keeps one
    weight = {}
    for lag in lags:
        like = LIKENESS**lag * s
        weight[lag] = (like / ((1 + s) ** 2 - like**2) * twice / size**2).astype(np.float32)
    steps = np.arange(-REACH_PX, REACH_PX + STEP_PX / 2, STEP_PX)
    down = np.exp(2j * np.pi * np.outer(steps, fft.fftfreq(size))).astype(np.complex64)
    right = np.exp(2j * np.pi * np.outer(fft.rfftfreq(size), steps)).astype(np.complex64)
    out = [np.empty((n - lag, len(steps), len(steps)), np.float32) for lag in lags]
    spectra, begin = np.empty((0, size, size // 2 + 1), np.complex64), 0
    for first in range(0, n, CHUNK):
        rows = slice(first, first + CHUNK)
        part = fft.rfft2(pixels.cut_boxes(frames[rows], corner[rows], size) * window)
        spectra = np.concatenate([spectra, part])
        for lag in lags:
            new = max(first - begin - lag, 0)
            product = spectra[new + lag :] * np.conj(spectra[new : len(spectra) - lag]) * weight[lag]
            out[lag - 1][begin + new : begin + new + len(product)] = (down @ product @ right).real
        begin += max(len(spectra) - LAGS, 0)
        spectra = spectra[-LAGS:]
    return out, corner + size // 2


def parabola(maps, place, reach):
    """Gradient (n, 2) and curvature (n, 2, 2), positive definite or zero, of maps (n, rows, columns) at places (x, y).

    The parabola goes through the 3 x 3 values `reach` apart about the nearest value; the unit is that of the grid.
    """
    n, rows, columns = maps.shape
    x = np.clip(np.rint(place[:, 0]).astype(int), reach, columns - 1 - reach)
    y = np.clip(np.rint(place[:, 1]).astype(int), reach, rows - 1 - reach)
    frame = np.arange(n)

    def at(right, down):
        return maps[frame, y + down * reach, x + right * reach].astype(float)

    slope = np.stack([at(1, 0) - at(-1, 0), at(0, 1) - at(0, -1)], 1) / (2 * reach)
    bend = np.empty((n, 2, 2))
    bend[:, 0, 0] = 2 * at(0, 0) - at(1, 0) - at(-1, 0)
    bend[:, 1, 1] = 2 * at(0, 0) - at(0, 1) - at(0, -1)
    bend[:, 0, 1] = bend[:, 1, 0] = -(at(1, 1) + at(-1, -1) - at(1, -1) - at(-1, 1)) / 4
    bend /= reach**2
    value, axis = np.linalg.eigh(bend)
    slope -= np.einsum("nij,nj->ni", bend, place - np.stack([x, y], 1))
    # uphill along an axis that bends the wrong way a parabola leads nowhere
    good = value > 0
    along = np.einsum("nji,nj->ni", axis, slope) * good
    bend = np.einsum("nij,nj,nkj->nik", axis, value * good, axis)
    return np.einsum("nij,nj->ni", axis, along), bend


def refine(place, evidence, steps, middle, walk_px, blank):
    """The most likely path near a path, (n, 2) px.

    place : (n, 2) px; evidence : (n, rows, columns) log likelihood of the place on bins of BIN_PX;
    steps, middle : as of `step_evidence`; walk_px : rms step per axis; blank : (n,) bool, frames that say nothing
    """
    pull, hold = parabola(evidence, (place - 0.5) / BIN_PX, PLACE_STEP)
    pull, hold = PLACE_TEMPER * pull / BIN_PX, PLACE_TEMPER * hold / BIN_PX**2
    pull[blank], hold[blank] = 0, 0
    # a leap stays one: pulled together, it would put the frames on either side between its ends
    whole = np.linalg.norm(np.diff(place, axis=0), axis=1) < REACH_PX
    x = place.copy()
    for _ in range(ROUNDS):
        gradient = pull - np.einsum("nij,nj->ni", hold, x - place)
        own, beside = hold + 1e-6 * np.eye(2), []
        for lag, maps in enumerate(steps, 1):
            step = x[lag:] - x[:-lag]
            grid = (step - middle[lag:] + middle[:-lag] + REACH_PX) / STEP_PX
            known = ~(blank[lag:] | blank[:-lag]) & ((grid > 1) & (grid < maps.shape[1] - 2)).all(1)
            slope, bend = parabola(maps, grid, 1)
            temper = STEP_TEMPER / len(steps) * known
            slope, bend = slope * temper[:, None] / STEP_PX, bend * temper[:, None, None] / STEP_PX**2
            if lag == 1:
                rest = whole / (walk_px**2 + (step**2).sum(1) / RARE_STEP**2)
                slope -= rest[:, None] * step
                bend += rest[:, None, None] * np.eye(2)
            gradient[lag:] += slope
            gradient[:-lag] -= slope
            own[lag:] += bend
            own[:-lag] += bend
            beside.append(-bend)
        change = solveh_banded(_banded(own, beside), gradient.ravel(), lower=True).reshape(-1, 2)
        x = place + np.clip(x + change - place, -FARTHEST_PX, FARTHEST_PX)
        if np.abs(change).max() < 0.02:
            break
    return x


def _banded(own, beside):
    """Lower bands of a symmetric matrix of blocks: own (n, 2, 2) on the diagonal, beside[lag - 1] (n - lag, 2, 2)."""
    n = len(own)
    bands = np.zeros((2 * len(beside) + 2, n, 2))
    bands[0] = own[:, [0, 1], [0, 1]]
    bands[1, :, 0] = own[:, 1, 0]
    for lag, blocks in enumerate(beside, 1):
        # rows of the later frame, columns of the earlier one
        bands[2 * lag, :-lag] = blocks[:, [0, 1], [0, 1]]
        bands[2 * lag + 1, :-lag, 0] = blocks[:, 1, 0]
        bands[2 * lag - 1, :-lag, 1] += blocks[:, 0, 1]
    return bands.reshape(len(bands), 2 * n)
