"""What stands still behind the particle, and what varies slowly: subtracted from its boxes."""

import numpy as np

from perrin.frames.bands import band_pass


def field_at(mean_field, block_centre, row, corner_xy, n, field_corner=None):
    """The static field under a box: block averages interpolated in time, cut at the box's integer place.

    mean_field : (blocks, y, x); block_centre : (blocks,) rows; row : time of the frame, in rows
    corner_xy : field pixel of the box's pixel (0, 0); field_corner : (blocks, 2) x and y of the field pixel where each
    block's average begins, None: (0, 0)
    -> (n, n) float32, NaN where no average reaches
    """
    after = int(np.searchsorted(block_centre, row))
    before = max(after - 1, 0)
    after = min(after, len(block_centre) - 1)
    origin = np.zeros((len(block_centre), 2), int) if field_corner is None else field_corner
    late = _cut(mean_field[after], np.asarray(corner_xy) - origin[after], n)
    if before == after:
        return late
    early = _cut(mean_field[before], np.asarray(corner_xy) - origin[before], n)
    share = (row - block_centre[before]) / (block_centre[after] - block_centre[before])
    both = (1 - share) * early + share * late
    # where the averages were taken in different parts of the field, one of them serves
    return np.where(np.isfinite(both), both, np.where(np.isfinite(late), late, early))


def _cut(field, corner_xy, n):
    """An (n, n) float32 piece of a field (y, x) from a pixel (x, y) on, NaN outside."""
    x, y = corner_xy
    height, width = field.shape
    y0, y1, x0, x1 = max(y, 0), min(y + n, height), max(x, 0), min(x + n, width)
    out = np.full((n, n), np.nan, np.float32)
    if y1 > y0 and x1 > x0:
        out[y0 - y : y1 - y, x0 - x : x1 - x] = field[y0:y1, x0:x1]
    return out


def smoothing_matrix(n, sigma_px):
    """(n, n) float32 Gaussian weights between pixels of one axis."""
    i = np.arange(n)
    return np.exp(-0.5 * ((i[:, None] - i) / sigma_px) ** 2).astype(np.float32)


def subtract_slow(images, valid, sigma_px):
    """Images minus their Gaussian-weighted local mean over valid pixels; invalid pixels become 0.

    The transfer is 1 - exp(-2 pi^2 k^2 sigma^2) away from the borders; there and at invalid pixels the weights
    are renormalised, so that a constant is removed exactly everywhere.
    images, valid : (f, n, n)
    """
    a = smoothing_matrix(images.shape[-1], sigma_px)
    weight = valid.astype(np.float32)
    masked = np.where(valid, images, 0).astype(np.float32)
    full = valid.all(axis=(1, 2))
    ones = a.sum(1)[:, None] * a.sum(1)
    out = np.empty_like(masked)
    low = a @ masked @ a
    out[full] = masked[full] - low[full] / ones
    if not full.all():
        part = ~full
        norm = np.maximum(a @ weight[part] @ a, 1e-6)
        out[part] = (masked[part] - low[part] / norm) * weight[part]
    return out


def noise_sd(images, pixel_A, band=(0.75, 0.965)):
    """Standard deviation of white noise, one number a frame, from the highest frequencies (shares of Nyquist).

    images : (f, n, n) -> (f,)
    """
    n = images.shape[-1]
    k = np.fft.fftfreq(n)[:, None] * 2, np.fft.rfftfreq(n)[None, :] * 2
    radius = np.hypot(*k)
    ring = (radius >= band[0]) & (radius <= band[1])
    weight = np.where((k[1] > 0) & (k[1] < 1), 2.0, 1.0) * ring
    power = np.abs(np.fft.rfft2(images)) ** 2
    return np.sqrt((power * weight).sum((1, 2)) / weight.sum()) / n


def static_share(images, field, outside, pixel_A, band=(0.40, 0.90)):
    """How much of the resting background's fine structure each frame shows: 1 in focus.

    Graphene's waves change strength and sign with focus, so that a frame far out of focus disagrees with the
    average of its block. Least squares over pixels outside of the particle.
    images : (f, n, n) unit noise, background not subtracted; field : (f, n, n) the average in the same units,
    NaN outside of the movie's field; outside : (n, n) bool
    -> share (f,), standard error (f,)
    """
    known = np.isfinite(field)
    middle = np.where(known, field, 0).sum((1, 2)) / np.maximum(known.sum((1, 2)), 1)
    model = band_pass(np.where(known, field - middle[:, None, None], 0), pixel_A, *band) * outside
    data = band_pass(images, pixel_A, *band)
    norm = np.einsum("fyx,fyx->f", model, model)
    share = np.einsum("fyx,fyx->f", model, data) / np.maximum(norm, 1e-9)
    return share, np.sqrt(1 / np.maximum(norm, 1e-9))
