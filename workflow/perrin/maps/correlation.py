"""How well each frame agrees with the reprojection of a map."""

import numpy as np

from perrin.imaging.fourier import half_plane, image_coefficients, shift_phases
from perrin.imaging.rotations import matrices
from perrin.imaging.slices import fourier_slices, padded_transform
from perrin.maps.mask import soft_disc

CHUNK = 256


def _rolled(images, pixels):
    """Frames moved by whole pixels (x, y), each by its own; what leaves on one side enters on the other."""
    n = images.shape[-1]
    rows = (np.arange(n) - pixels[:, [1]]) % n
    columns = (np.arange(n) - pixels[:, [0]]) % n
    return images[np.arange(len(images))[:, None, None], rows[:, :, None], columns[:, None, :]]


def band_sums(images, density, poses, band_A=(3.0, 1.0), mask_radius_A=None, polar=True):
    """Products of frames and their reprojections over a band of the Fourier plane.

    images : (f, n, n); density : Map; poses : Poses, one a frame
    mask_radius_A : soft disc about the particle; None: what fits the box
    polar : rings of coefficients count alike, as on the published polar grid (weight 1 / k);
        else each coefficient does
    returns (3, f) float64: <frame, reprojection>, |frame|^2, |reprojection|^2
    """
    n, pixel = density.data.shape[0], density.pixel_A
    plane = half_plane(n, pixel, band_A)
    transform = padded_transform(density.data, pixel, band_A)
    disc = soft_disc(n, pixel, n / 2 * pixel if mask_radius_A is None else mask_radius_A)
    weight = plane.weight / np.maximum(np.hypot(*plane.k.T), 1) if polar else plane.weight
    rotations = matrices(poses.quaternion)
    sums = np.empty((3, len(poses)))
    for first in range(0, len(poses), CHUNK):
        part = slice(first, first + CHUNK)
        # the mask sits on the particle: frames move by whole pixels before it, by the rest after it
        shift = poses.shift_A[part] / pixel
        whole = np.rint(shift).astype(int)
        centred = _rolled(np.asarray(images[part], np.float32), -whole) * disc
        measured = image_coefficients(centred, plane) * shift_phases(plane, whole - shift)
        model = fourier_slices(transform, rotations[part], plane)
        sums[0, part] = np.sum(weight * (measured * model.conj()).real, axis=1)
        sums[1, part] = np.sum(weight * np.abs(measured) ** 2, axis=1)
        sums[2, part] = np.sum(weight * np.abs(model) ** 2, axis=1)
    return sums


def frame_correlations(images, density, poses, band_A=(3.0, 1.0), mask_radius_A=None, polar=True):
    """Normalised correlation of each frame with the reprojection of a map, (f,) in -1..1.

    The published curve over time (fig. S2): all samples of a polar grid in the band 3-1 A, not weighted by k.
    Views along a zone axis correlate better, whatever the structure does: see `frame_amplitudes`.
    """
    cross, frame, model = band_sums(images, density, poses, band_A, mask_radius_A, polar)
    norm = np.sqrt(frame * model)
    return np.divide(cross, norm, out=np.zeros(len(cross)), where=norm > 0)


def frame_amplitudes(images, density, poses, band_A=(3.0, 1.0), mask_radius_A=None):
    """The factor with which each frame shows the reprojection, and its standard error, two (f,) arrays.

    Corrected for direction: a frame along a zone axis has a smaller error, not a larger factor. The error
    takes the noise from what the best multiple of the reprojection leaves over in the band.
    """
    cross, frame, model = band_sums(images, density, poses, band_A, mask_radius_A, polar=False)
    model = np.maximum(model, 1e-30)
    amplitude = cross / model
    n, pixel = density.data.shape[0], density.pixel_A
    # |frame|^2 counts each coefficient of the whole plane; half of the sum's terms carry the real part
    count = half_plane(n, pixel, band_A).weight.sum()
    left = np.maximum(frame - cross**2 / model, 0) / count
    return amplitude, np.sqrt(left / model)
