"""Which hand: the change of an atom's image with its height, weighed against the frames.

Beyond the projection, y_f = a_f sum_j o_j [p(. - u_fj) + c z_fj q(. - u_fj)], where q is the change of the image for
one angstrom of height. The mirrored structure has -z at equal projections, so its c is -1 where the right one's is +1:

    g = sum_f a_f sum_j o_j z_fj <y_f - model_f, q(. - u_fj)>,   H = sum_f a_f^2 |sum_j o_j z_fj q(. - u_fj)|^2

c = g / H with standard error H^-1/2, and 2 g is the log-likelihood of this hand above that of the other.
"""

import numba
import numpy as np

from perrin.imaging.blobs import filter_frames, overlap_value, read
from perrin.imaging.profile import overlap

LEAST_NATS = 14.0  # odds of a million to one
LEAST_COEFFICIENT = (
    0.12  # models without depth give up to 0.05; theory's focus and blur fit to a factor of two or three
)
BLOCKS = 12


@numba.njit(parallel=True, fastmath=True, cache=True)
def _sums(xyz, occupancy, rotation, shift, amplitude, b, cross, same, dq, g, H):
    for f in numba.prange(len(rotation)):
        n = len(xyz)
        u = np.empty((n, 3))
        for j in range(n):
            for a in range(3):
                u[j, a] = (
                    rotation[f, a, 0] * xyz[j, 0]
                    + rotation[f, a, 1] * xyz[j, 1]
                    + rotation[f, a, 2] * xyz[j, 2]
                )
        middle = 0.0
        total = 0.0
        for j in range(n):
            middle += occupancy[j] * u[j, 2]
            total += occupancy[j]
        middle /= total  # the mean height belongs to the focus
        order = np.argsort(u[:, 0])
        reach = np.sqrt(dq * max(len(cross), len(same)))
        first = 0.0
        second = 0.0
        for a in range(n):
            j = order[a]
            z = u[j, 2] - middle
            first += occupancy[j] * z * (b[f, j] - amplitude[f] * occupancy[j] * cross[0, 0])
            second += (occupancy[j] * z) ** 2 * same[0, 0]
            for c in range(a + 1, n):
                k = order[c]
                dx = u[k, 0] - u[j, 0]
                if dx > reach:
                    break
                q = dx * dx + (u[k, 1] - u[j, 1]) ** 2
                both = occupancy[j] * occupancy[k]
                other = u[k, 2] - middle
                first -= amplitude[f] * both * (z + other) * overlap_value(cross, dq, q)
                second += 2 * both * z * other * overlap_value(same, dq, q)
        g[f] = amplitude[f] * first
        H[f] = amplitude[f] ** 2 * second


def hand_evidence(frames, pixel_A, xyz_A, occupancy, rotation, shift_A, amplitude, image, change):
    """Per frame: g and H of the depth term for a model in this hand, two (f,) arrays.

    frames : (f, n, n) float32, unit noise; xyz_A (n, 3), occupancy (n,), poses (f, ...): the model as refined
    image, change : Profiles, of an atom and for one angstrom of height; `image` is the model's own fitted one
    """
    b = read(filter_frames(frames, pixel_A, change), xyz_A, rotation, shift_A).astype(float)
    cross = overlap(image, change, pixel_A, cutoff=1e-4)
    same = overlap(change, change, pixel_A, cutoff=1e-4)
    return _terms(b, cross, same, xyz_A, occupancy, rotation, shift_A, amplitude)


def _terms(b, cross, same, xyz_A, occupancy, rotation, shift_A, amplitude):
    """g and H from b (f, n), the frames filtered with the change, and the overlaps of image and change."""
    g, H = np.empty(len(b)), np.empty(len(b))
    _sums(
        np.ascontiguousarray(xyz_A, float), np.ascontiguousarray(occupancy, float),
        np.ascontiguousarray(rotation, float), np.ascontiguousarray(shift_A, float),
        np.asarray(amplitude, float), b, cross.table, same.table, cross.dq, g, H,
    )  # fmt: skip
    return g, H


def slope(filtered, xyz_A, overlap, rotation, shift_A, amplitude):
    """Per frame: g and H of images that are multiplied by 1 + c z, two (f,) arrays; c = sum g / sum H, 1/angstrom.

    The crudest depth term, without any optics: it needs no other filter than the atoms' own, and tells the hand as
    well as theory's (by a half to twice as many nats). Its sign is that of the hand the model is in. Atoms are of equal
    strength: while the particle turns little, occupancies take the depth up.
    filtered, overlap : frames and overlaps of the atoms' own profile
    """
    b = read(filtered, xyz_A, rotation, shift_A).astype(float)
    return _terms(b, overlap, overlap, xyz_A, np.ones(len(xyz_A)), rotation, shift_A, amplitude)


def sure_slope(g, H):
    """The slope c of a sequence of frames, and 0 where it is within four errors of nothing (scatter of BLOCKS)."""
    if len(g) < 4 * BLOCKS:
        return 0.0
    blocks = np.array([part.sum() for part in np.array_split(g, BLOCKS)])
    error = blocks.std(ddof=1) * np.sqrt(BLOCKS)
    return float(g.sum() / H.sum()) if abs(g.sum()) > 4 * error else 0.0


def hand_shares(g, H, length=60):
    """Shares of the frames in blocks whose depth tells a hand, and in those that speak for another than most do.

    g, H (f,) : from `slope`. A block tells where its slope is beyond six of its errors, and is contrary where it is
    beyond half of the usual one, too; none is where fewer than a third tell, for then the movie shows no depth.
    """
    edges = np.arange(0, max(len(g) - length // 2, 1), length)
    c, weight = np.add.reduceat(g, edges) / np.add.reduceat(H, edges), np.diff(np.r_[edges, len(g)])
    sure = np.abs(c) > 6 / np.sqrt(np.add.reduceat(H, edges))
    told = float(weight[sure].sum() / len(g))
    if told < 1 / 3:
        return told, 0.0
    sure &= np.abs(c) > 0.5 * np.median(np.abs(c[sure]))
    up = weight[sure & (c > 0)].sum()
    return told, float(min(up, weight[sure].sum() - up) / len(g))


def hand(g, H):
    """Which hand the depth term speaks for, from `hand_evidence`.

    returns dict: coefficient (1: this hand by theory, -1: the other), sigma, its error by theory; nats in favour of
    this hand, nats_per_frame and its error, from the scatter of BLOCKS stretches of frames, since neighbours in time
    share what the model lacks; verdict: this, other, or undetermined where the mean is within four errors of zero,
    all frames together below LEAST_NATS, or the coefficient below LEAST_COEFFICIENT (what remains of a wrong model)
    """
    total, mean = H.sum(), 2 * g.mean()
    blocks = np.array([2 * part.mean() for part in np.array_split(g, BLOCKS)])
    error = blocks.std(ddof=1) / np.sqrt(BLOCKS)
    coefficient = g.sum() / total
    sure = abs(mean) > 4 * error and abs(2 * g.sum()) > LEAST_NATS and abs(coefficient) > LEAST_COEFFICIENT
    return {
        "verdict": ("this" if mean > 0 else "other") if sure else "undetermined",
        "coefficient": float(coefficient),
        "sigma": float(1 / np.sqrt(total)),
        "nats": float(2 * g.sum()),
        "nats_per_frame": float(mean),
        "nats_per_frame_sigma": float(error),
        "frames": len(g),
    }
