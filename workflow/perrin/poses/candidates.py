"""All poses that a frame by itself might have against a given model: searched over all orientations, refined, ranked.

Nothing is assumed of symmetry or of neighbours. Projections along a spiral of directions are compared with the frame
at all in-plane angles and shifts (`perrin.poses.matching`); the best are refined, first
against the map in the band of the search, then, the best distinct ones, against the model's atoms.
"""

import numpy as np

from perrin.files.records import Map
from perrin.imaging.fourier import half_plane, image_coefficients
from perrin.imaging.grids import fibonacci_sphere
from perrin.imaging.rotations import angles_between
from perrin.imaging.slices import TRILINEAR, padded_transform
from perrin.imaging.symmetry import moved_images
from perrin.poses.map_fit import fit_poses
from perrin.poses.matching import beam_rotations, centred_masked, coarse_search, in_plane, shift_grid
from perrin.poses.polar import norms, reference_spectra, ring_samples, rings
from perrin.poses.polish import polish
from perrin.progress import progress

BAND_A = (3.0, 1.3)  # the reflections of close-packed metals down to {220}
TILT_A = 0.9  # between neighbouring directions, how far the outermost atom moves
SHIFT_STEP_A = 0.5
COARSE = (
    160  # places on the grid that are refined against the map: it is too wide for the right one to come first
)
STEPS = 4
ASKED = 3  # poses that are offered all those of nearly equal image
FIRST = 40  # of them that are refined against atoms
CHUNK = 256
SAME_DEG, SAME_A = 3.0, 0.6  # poses nearer than that are one


def drawn_density(xyz_A, occupancy, profile, box_px, pixel_A):
    """The Map whose projections are the model's images before any high-pass: (n, n, n), 1 / A^3 times the profile."""
    import finufft

    points = np.asarray(xyz_A, float) * (2 * np.pi / (box_px * pixel_A))
    z, y, x = np.ascontiguousarray(points[:, ::-1].T)
    weight = np.asarray(occupancy, np.complex128)
    spectrum = finufft.nufft3d1(z, y, x, weight, (box_px,) * 3, eps=1e-6, isign=-1, nthreads=1)
    k = (np.arange(box_px) - box_px // 2) / (box_px * pixel_A)
    spectrum *= profile.transform(np.sqrt(k[:, None, None] ** 2 + k[:, None] ** 2 + k**2), power=0)
    volume = np.fft.fftshift(np.fft.ifftn(np.fft.ifftshift(spectrum))).real
    return Map((volume / pixel_A**3).astype(np.float32), pixel_A)


def searched(
    images, centre_A, density, radius_A, reach_A, amplitude=None, own=None, keep=FIRST, band_A=BAND_A
):
    """The best orientations and shifts of each frame by itself, on a grid.

    images : (f, n, n) float32, unit noise; centre_A : (f, 2) where the body's origin is about
    density : Map; radius_A : of the particle; reach_A : largest shift from centre_A
    amplitude : None, normalised correlation; or of the density's projections, for all frames: likelihood
    own : Motions of the model onto itself; the best poses are then offered all their nearly equal ones, of which the
        search may have missed the right one
    returns frame (c,), rotation (c, 3, 3), shift_A (c, 2), score (c,); `keep` candidates a frame, best first
    """
    n, pixel = density.data.shape[0], density.pixel_A
    centre = np.asarray(centre_A, float)
    mask = min(radius_A + 2.0, n / 2 * pixel)
    grid = rings(n, pixel, band_A, mask / pixel / 2, "polar" if amplitude is None else "area")
    directions = int(np.clip(4 * np.pi * (radius_A / TILT_A) ** 2, 500, 8000))
    turned = beam_rotations(fibonacci_sphere(directions))
    transform, plane = padded_transform(density.data, pixel, band_A, TRILINEAR), half_plane(n, pixel, band_A)
    references = reference_spectra(transform, turned, grid, amplitude)
    shifts = shift_grid(reach_A, SHIFT_STEP_A)
    rows, rotation, shift, score = [], [], [], []
    for first in progress(range(0, len(images), CHUNK), "frames searched (in chunks)"):
        part = slice(first, min(first + CHUNK, len(images)))
        frames = centred_masked(images[part], centre[part], pixel, mask)
        samples = ring_samples(frames, grid)
        length = norms(samples, grid) if amplitude is None else np.ones(len(frames))
        d, angle, s, _ = coarse_search(samples, length, references, grid, shifts / pixel, COARSE)
        here = np.repeat(np.arange(len(frames)), d.shape[1])
        given = image_coefficients(frames, plane)
        fitted = {"iterations": STEPS, "polar": amplitude is None, "amplitude": amplitude}
        R = in_plane(2 * np.pi / grid.turns * angle.ravel()) @ turned[d.ravel()]
        R, s, value = fit_poses(given, here, transform, plane, R, shifts[s.ravel()], **fitted)
        if own is not None and len(own) > 1:
            few = distinct(here, R, s, value, ASKED)
            every = [column.reshape(-1, *column.shape[2:]) for column in moved_images(R[few], s[few], own)]
            also = np.repeat(here[few], len(own))
            more = fit_poses(given, also, transform, plane, *every, **fitted)
            here, (R, s, value) = np.r_[here, also], map(np.concatenate, zip((R, s, value), more))
        best = distinct(here, R, s, value, keep)
        rows.append(first + here[best])
        rotation.append(R[best])
        shift.append(s[best] + centre[rows[-1]])
        score.append(value[best])
    return tuple(np.concatenate(column) for column in (rows, rotation, shift, score))


def refined(filtered, model, found, amplitude, spread=0.2, keep=12):
    """The best distinct candidates of each frame, refined against atoms.

    filtered : Filtered; model : (xyz_A, occupancy, overlap); found : (frame, rotation, shift_A, ...) candidates
    amplitude, spread : of the prior on a frame's amplitude
    returns frame (c,), rotation, shift_A, amplitude (c,), gain (c,) nats; at most `keep` a frame, best first
    """
    rows, R, s = found[:3]
    for iterations, most in ((2, 3 * keep), (5, keep)):
        R, s, a, gain, _ = polish(
            filtered, *model, R, s, np.full(len(R), float(amplitude)), iterations, spread, images=rows,
            amplitude_mean=amplitude,
        )  # fmt: skip
        best = distinct(rows, R, s, gain, most)
        rows, R, s, a, gain = rows[best], R[best], s[best], a[best], gain[best]
    return rows, R, s, a, gain


def distinct(rows, rotation, shift_A, gain, keep):
    """Indices of the best `keep` candidates of each frame that are not a better one again; by frame, best first."""
    order = np.lexsort((-gain, rows))
    edges = np.r_[np.flatnonzero(np.r_[True, np.diff(rows[order]) != 0]), len(order)]
    chosen = []
    for first, stop in zip(edges[:-1], edges[1:]):
        mine = []
        for i in order[first:stop]:
            if len(mine) == keep:
                break
            if mine:
                near = angles_between(rotation[mine], rotation[i]) < np.radians(SAME_DEG)
                if np.any(near & (np.linalg.norm(shift_A[mine] - shift_A[i], axis=1) < SAME_A)):
                    continue
            mine.append(i)
        chosen += mine
    return np.array(chosen)
