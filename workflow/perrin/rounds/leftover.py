"""What the atoms leave unexplained: the particle's power at lattice frequencies, with and without the model.

Occupancies, halves and truth put in say that the atoms found are right. Only the frames themselves can say that atoms
were not found: half of a twinned particle leaves a quarter of the power, complete models at most two per cent.
"""

import numpy as np
from scipy import fft

from perrin.imaging.rotations import quaternions
from perrin.rounds.injected import spots
from perrin.rounds.refine import rows_of
from perrin.simulate.images import project_atoms

BAND_A1 = (0.36, 0.95)  # where metals' lattices scatter
AROUND_A = 3.0  # beyond the outermost atom that the particle is looked for
APART_A = 1.0  # between there and where the noise is measured


def left_in(images, pixel_A, solution):
    """`unexplained_share` of some of the frames, as a function of their slice."""
    return lambda rows: unexplained_share(images[rows], pixel_A, rows_of(solution, rows))


def unexplained_share(images, pixel_A, solution, most_frames=200):
    """Share of the particle's power in the lattice band that is left after the model is taken away.

    images : (f, n, n) float32, unit noise; solution : Solution of these frames
    returns a number, 0 for a complete model (down to about -0.1 where background was taken off with the particle),
    NaN where the box holds no place without particle
    """
    rows = np.unique(np.linspace(0, len(images) - 1, min(most_frames, len(images))).astype(int))
    n = images.shape[-1]
    R, s = solution.rotation[rows], solution.shift_A[rows]
    drawn = project_atoms(
        solution.xyz_A, quaternions(R), s / pixel_A + n // 2, (n, n), pixel_A, spots(solution.profile),
        solution.occupancy,
    )  # fmt: skip
    drawn *= solution.amplitude[rows].astype(np.float32)[:, None, None]
    k = np.hypot(fft.fftfreq(n, pixel_A)[:, None], fft.rfftfreq(n, pixel_A))
    band = ((k > BAND_A1[0]) & (k < BAND_A1[1])).astype(np.float32)
    middle = solution.xyz_A.mean(0)
    centre = s + (R @ middle)[:, :2]
    radius = np.linalg.norm(solution.xyz_A - middle, axis=1).max() + AROUND_A
    axis = (np.arange(n) - n // 2) * pixel_A
    distance = np.hypot(axis[None, :, None] - centre[:, 1, None, None], axis - centre[:, 0, None, None])
    inside, outside = distance < radius, distance > radius + APART_A
    if outside.mean() < 0.02:
        return np.nan

    def power(frames, where):
        return float(np.square(fft.irfft2(fft.rfft2(frames) * band, s=(n, n)))[where].mean())

    frames = np.asarray(images[rows], np.float32)
    noise = power(frames, outside)
    return (power(frames - drawn, inside) - noise) / max(power(frames, inside) - noise, 1e-9)
