"""Where the particle's reflections lie against where its metal has them: a wrong pixel size or element shows here.

Frames of a tumbling crystal have their power on rings, one for each family of lattice planes, as wide as the particle
is small. All of them move by one factor if pixels have another size than was said, or the metal is another.
"""

import numpy as np
import scipy.fft
from scipy.optimize import nnls

from perrin.frames.bands import frequencies
from perrin.imaging.lattice import IDEAL_C_OVER_A, reflections

FROM_A1, TO_A1 = 0.32, 1.0
STEP_A1 = 0.005
SCALES = np.arange(0.75, 1.3301, 0.005)
WIDTH = 0.45  # standard deviation of a ring's profile, times the particle's diameter
NEAR = 0.04  # crystals of 2 nm are within 0.02 of their bulk, and poses are sought on lattices within 0.035
CLEARLY = 2.0  # times as much left unexplained near the metal's own rings as at the best place
SHOWN = 0.9  # of the power's variation that rings explain, where there are rings at all; noise reaches 0.8
MOST_FRAMES = 600


def ring_power(images, pixel_A, mask):
    """k (m,) 1/angstrom and mean power (m,) of frames about circles of that radius, over white noise of unit variance.

    images : (f, n, n), noise 1, of which at most MOST_FRAMES are taken; mask : (n, n), what of them is looked at
    """
    n = images.shape[-1]
    images = images[:: -(-len(images) // MOST_FRAMES)]
    power = np.zeros((n, n // 2 + 1))
    for a in range(0, len(images), 128):
        spectrum = scipy.fft.rfft2(np.asarray(images[a : a + 128], np.float32) * mask)
        power += np.square(np.abs(spectrum)).sum(0)
    power /= len(images) * np.square(mask).sum()
    k = np.arange(FROM_A1, min(TO_A1, 0.48 / pixel_A), STEP_A1)
    # a circle takes what lies within one step of the box's own grid
    weight = np.clip(1 - np.abs(frequencies(n, pixel_A).ravel() - k[:, None]) * n * pixel_A, 0, None)
    known = weight.sum(1) > 0
    return k[known], (weight @ power.ravel())[known] / weight.sum(1)[known] - 1


def ring_scale(k, power, diameter_A, metal):
    """Factor by which the rings lie further out than the metal's, how much worse these fit, and how plain rings are.

    The second is what the best rings within NEAR of the metal's leave unexplained, over what the best of all leave;
    the third is the share that the best explain of what a slope does not. Rings have any heights; metal : Element
    """
    highest, c_over_a = (TO_A1 + 0.1) / SCALES[0], metal.c_over_a or IDEAL_C_OVER_A
    length = np.linalg.norm(reflections(metal.system, metal.lattice_A, highest, c_over_a).G, axis=1)
    width = WIDTH / max(diameter_A, 5.0)
    slope = [np.ones_like(k), (k.max() - k) / np.ptp(k)]
    left = np.empty(len(SCALES))
    for index, scale in enumerate(SCALES):
        rings = np.exp(-0.5 * ((k[:, None] - scale * np.unique(length.round(4))) / width) ** 2)
        left[index] = nnls(np.column_stack([rings, *slope]), power)[1] ** 2
    near = np.abs(SCALES - 1) <= NEAR + 1e-9
    bare = nnls(np.column_stack(slope), power)[1] ** 2
    least = max(left.min(), 1e-12)
    return float(SCALES[left.argmin()]), float(left[near].min() / least), float(1 - least / max(bare, 1e-12))


def misplaced(images, pixel_A, mask, diameter_A, metal):
    """(scale, sentence on rings that are not the metal's); NaN where no rings show, "" where they are the metal's."""
    k, power = ring_power(images, pixel_A, mask)
    scale, worse, plain = ring_scale(k, power, diameter_A, metal)
    if plain < SHOWN:
        return np.nan, ""
    if abs(scale - 1) <= NEAR or worse < CLEARLY:
        return scale, ""
    a_A = metal.lattice_A / scale
    return scale, (
        f"the rings of its lattice lie at {scale:.3f} times the frequencies of {metal.symbol}: pixels have "
        f"{pixel_A * scale:.3f} A and not {pixel_A:.3f}, or the metal's lattice constant is {a_A:.2f} A; "
        "correct pixel_size_A or element in the sample sheet"
    )
