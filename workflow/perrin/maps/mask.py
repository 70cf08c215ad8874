"""Masks: where in the box the particle is."""

import numpy as np
from scipy import ndimage


def radii(n, pixel_A):
    """(n, n, n) distance from the box centre, angstrom, float32."""
    squared = np.square((np.arange(n) - n // 2) * pixel_A)
    return np.sqrt(squared[:, None, None] + squared[:, None] + squared).astype(np.float32)


def soft_sphere(n, pixel_A, radius_A, edge_A=None):
    """(n, n, n) float32: 1 inside, 0 outside radius_A, a raised cosine over the last edge_A (6 px) before it."""
    edge = 6 * pixel_A if edge_A is None else edge_A
    inside = np.clip((radius_A - radii(n, pixel_A)) / edge, 0, 1)
    return (0.5 - 0.5 * np.cos(np.pi * inside)).astype(np.float32)


def otsu(values):
    """The threshold that splits values into two classes with the least scatter inside them (Otsu 1979)."""
    count, edges = np.histogram(values, 256)
    middle = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(count)
    above = below[-1] - below
    total = np.cumsum(count * middle)
    with np.errstate(invalid="ignore", divide="ignore"):
        between = below * above * np.square(total / below - (total[-1] - total) / above)
    return float(edges[1 + np.nanargmax(between[:-1])])


def automask(density, smooth_A=1.5, dilate_A=1.5, edge_A=2.0):
    """Soft mask around the particle, from the map alone.

    In-focus images carry little at low resolution, so the particle is not denser than what is around it but
    livelier: the local root mean square (Gaussian, smooth_A) is split by Otsu's threshold, the largest connected
    part is filled, grown by dilate_A and given a raised-cosine edge of edge_A outside.
    density : Map; returns (n, n, n) float32 of 0..1
    """
    data, pixel = np.asarray(density.data, np.float32), density.pixel_A
    liveliness = np.sqrt(np.maximum(ndimage.gaussian_filter(np.square(data), smooth_A / pixel), 0))
    # a masked map is empty outside: its zeros are no class of their own
    present = liveliness > 1e-3 * liveliness.max()
    if not present.any():
        return np.zeros(data.shape, np.float32)
    inside = liveliness > otsu(liveliness[present])
    labels, parts = ndimage.label(inside)
    if parts == 0:
        return np.ones(data.shape, np.float32)
    largest = 1 + np.argmax(np.bincount(labels.ravel())[1:])
    core = ndimage.binary_fill_holes(labels == largest)
    beyond = ndimage.distance_transform_edt(~core).astype(np.float32) * pixel - dilate_A
    return (0.5 + 0.5 * np.cos(np.pi * np.clip(beyond / edge_A, 0, 1))).astype(np.float32)


def soft_disc(n, pixel_A, radius_A, edge_A=None):
    """(n, n) float32, the disc that goes with `soft_sphere`."""
    return soft_sphere(n, pixel_A, radius_A, edge_A)[n // 2]
