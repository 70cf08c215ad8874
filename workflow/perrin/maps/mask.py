"""Masks: where in the box the particle is."""

import numpy as np


def radii(n, pixel_A):
    """(n, n, n) distance from the box centre, angstrom, float32."""
    squared = np.square((np.arange(n) - n // 2) * pixel_A)
    return np.sqrt(squared[:, None, None] + squared[:, None] + squared).astype(np.float32)


def soft_sphere(n, pixel_A, radius_A, edge_A=None):
    """(n, n, n) float32: 1 inside, 0 outside radius_A, a raised cosine over the last edge_A (6 px) before it."""
    edge = 6 * pixel_A if edge_A is None else edge_A
    inside = np.clip((radius_A - radii(n, pixel_A)) / edge, 0, 1)
    return (0.5 - 0.5 * np.cos(np.pi * inside)).astype(np.float32)
