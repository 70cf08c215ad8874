"""Fourier shell correlation by direction: along which axes of the body a map is worse."""

import numpy as np
from scipy import fft

from perrin.maps.fsc import THRESHOLD, resolution
from perrin.poses.coverage import sphere


def conical_fsc(first, second, mask=None, half_angle_deg=20.0, directions=48):
    """Correlation of two maps within cones about axes of the body.

    first, second : Map of the same box; mask : (n, n, n) or None
    returns a dict: direction (d, 3) unit vectors of half a sphere (x, y, z); area (d,), mean correlation up to
    Nyquist, shells weighted by their radius (the first ones hold a handful of coefficients in a cone);
    resolution_A (d,); cfar, the smallest area over the largest (1: the same in all directions; below 0.5 or so
    a map is stretched along its worst axis); worst_axis
    """
    n, pixel = first.data.shape[0], first.pixel_A
    mask = 1 if mask is None else mask
    axis = fft.fftfreq(n, 1 / n)
    z, y, x = np.meshgrid(axis, axis, np.arange(n // 2 + 1), indexing="ij", sparse=True)
    radius = np.sqrt(x * x + y * y + z * z)
    inside = (radius > 0.5) & (radius < n // 2 + 0.5)
    shell = np.rint(radius[inside]).astype(np.int32)
    unit = (
        np.stack([np.broadcast_to(part, radius.shape)[inside] for part in (x, y, z)], 1)
        / radius[inside][:, None]
    )
    # the plane x = 0 of the half transform holds both members of its pairs
    weight = np.where(unit[:, 0] == 0, 0.5, 1.0)
    one, two = (fft.rfftn(np.asarray(m.data * mask, np.float32))[inside] for m in (first, second))
    terms = [weight * part for part in ((one * two.conj()).real, np.abs(one) ** 2, np.abs(two) ** 2)] + [
        weight
    ]
    cones = sphere(2 * directions)[:directions]
    limit = np.cos(np.radians(half_angle_deg))
    areas, resolutions = [], []
    for cone in cones:
        member = np.abs(unit @ cone) >= limit
        cross, p1, p2, count = (np.bincount(shell[member], t[member], n // 2 + 1)[1:] for t in terms)
        norm = np.sqrt(p1 * p2)
        curve = np.divide(cross, norm, out=np.zeros_like(cross), where=norm > 0)
        frequency = np.arange(1, n // 2 + 1) / (n * pixel)
        table = {"frequency_per_A": frequency, "fsc": curve, "coefficients": count}
        areas.append(np.average(curve[count > 0], weights=frequency[count > 0]))
        resolutions.append(resolution(table, THRESHOLD))
    areas = np.array(areas)
    return {
        "direction": cones,
        "area": areas,
        "resolution_A": np.array(resolutions),
        "cfar": float(max(areas.min(), 0) / areas.max()) if areas.max() > 0 else 0.0,
        "worst_axis": cones[np.argmin(areas)],
    }
