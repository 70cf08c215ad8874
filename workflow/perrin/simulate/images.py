"""Images of atoms: each a radially symmetric spot, added up; and boxes of them with counting noise."""

import numpy as np
from numba import njit, prange
from scipy.spatial.transform import Rotation

# Sum of Gaussians (sigma in angstrom, height) of a bright atom seen with negative C3 and overfocus: a core of
# about 0.42 A and a negative ring that leaves almost nothing at low spatial frequencies.
RINGED = ((0.30, 0.87), (0.42, 0.74), (0.60, -0.61))
PLAIN = ((0.42, 1.0),)
CUTOFF_SIGMA = 4.2  # of the widest Gaussian
TABLE_STEP_A2 = 0.005


def profile_table(profile):
    """Heights of a profile, as float32 on steps of TABLE_STEP_A2 in the squared radius, up to its cut-off.

    profile : ((sigma_A, height), ...); shifted to end at zero.
    """
    cutoff = CUTOFF_SIGMA * max(sigma for sigma, _ in profile)
    squared = np.arange(0, cutoff**2 + TABLE_STEP_A2, TABLE_STEP_A2)
    height = sum(weight * np.exp(-squared / (2 * sigma**2)) for sigma, weight in profile)
    return (height - height[-1]).astype(np.float32)


@njit(fastmath=True, forceinline=True)
def _add_spots(image, x_px, y_px, weight, table, pixel_A):
    """Add a spot times its weight at each (x_px, y_px) to an image (height, width); spots are cut at its border."""
    height, width = image.shape
    last = len(table) - 1
    reach = np.sqrt(last * TABLE_STEP_A2) / pixel_A
    scale = pixel_A * pixel_A / TABLE_STEP_A2
    for atom in range(len(x_px)):
        first_y = max(0, int(np.ceil(y_px[atom] - reach)))
        last_y = min(height - 1, int(np.floor(y_px[atom] + reach)))
        first_x = max(0, int(np.ceil(x_px[atom] - reach)))
        last_x = min(width - 1, int(np.floor(x_px[atom] + reach)))
        for row in range(first_y, last_y + 1):
            down = np.float32((row - y_px[atom]) ** 2 * scale)
            for column in range(first_x, last_x + 1):
                place = down + np.float32((column - x_px[atom]) ** 2 * scale)
                index = int(place)
                if index < last:
                    part = place - np.float32(index)
                    image[row, column] += weight[atom] * (
                        table[index] * (np.float32(1) - part) + table[index + 1] * part
                    )


@njit(cache=True, parallel=True)
def _project(out, x_px, y_px, weight, table, pixel_A):
    for frame in prange(out.shape[0]):
        _add_spots(out[frame], x_px[frame], y_px[frame], weight, table, pixel_A)


def project_atoms(xyz_A, quaternions, origin_px, shape, pixel_A, profile=RINGED, weight=None):
    """Projections of one set of atoms, (n, height, width) float32, in heights of the profile.

    xyz_A : (atoms, 3) in the body frame; quaternions : (n, 4), scalar first
    origin_px : (n, 2), x and y, where the body's origin falls in an image of `shape` (height, width)
    weight : (atoms,) factor on each atom; None: 1
    """
    lab = np.einsum("nij,aj->nai", Rotation.from_quat(quaternions, scalar_first=True).as_matrix(), xyz_A)
    place = lab[:, :, :2] / pixel_A + np.asarray(origin_px, float)[:, None, :]
    out = np.zeros((len(lab), *shape), np.float32)
    x_px, y_px = np.ascontiguousarray(place[..., 0]), np.ascontiguousarray(place[..., 1])
    weight = np.ones(len(xyz_A)) if weight is None else weight
    _project(out, x_px, y_px, np.asarray(weight, np.float32), profile_table(profile), pixel_A)
    return out


def simulate_boxes(
    xyz_A,
    quaternions,
    shifts_A,
    box_px,
    pixel_A=0.358,
    amplitude=1.1,
    profile=RINGED,
    dose=17.0,
    seed=0,
):
    """Boxes like those of clean.mrcs: atoms positive, noise of unit variance, (n, box_px, box_px) float32.

    xyz_A : (atoms, 3) angstrom, body frame
    quaternions : (n, 4), scalar first; shifts_A : (n, 2), where the body's origin appears, x and y from the
        box centre (index box_px // 2)
    amplitude : height of one atom in units of the noise, a number or one a frame (Poses.amplitude);
        1.1 gives a power SNR of about 0.25 for 200-300 atoms of Pt and the default profile
    profile : ((sigma_A, height), ...)
    dose : electrons per pixel; counts are Poisson, so bright columns are a little noisier, as in a movie;
        None leaves the noise out

    >>> from perrin.simulate.motion import orientations
    >>> from perrin.simulate.particle import ball
    >>> xyz = ball(6.0, 3.9242) * 3.9242 / 2
    >>> q = orientations({}, 4, np.random.default_rng(0))
    >>> boxes = simulate_boxes(xyz, q, np.zeros((4, 2)), 64)
    >>> boxes.shape, boxes.dtype.name
    ((4, 64, 64), 'float32')
    """
    origin = np.asarray(shifts_A, float) / pixel_A + box_px // 2
    images = project_atoms(xyz_A, quaternions, origin, (box_px, box_px), pixel_A, profile)
    images *= np.broadcast_to(np.asarray(amplitude, np.float32), len(images))[:, None, None]
    if dose is None:
        return images
    for frame, image in enumerate(images):
        mean = np.maximum(dose + np.sqrt(dose) * image, 0)
        counts = np.random.default_rng([seed, frame]).poisson(mean)
        images[frame] = (counts - dose) / np.sqrt(dose)
    return images
