"""Weights of frames by the certainty of their poses."""

import numpy as np


def certainty(poses, radius_A, detail_A=1.0):
    """(f,) weights in 0..1: what uncertain orientations leave of a detail's contrast.

    An error of sigma about each axis moves atoms of a ball of radius r by sqrt(2/5) sigma r rms along each axis
    of the image, which multiplies its coefficients at frequency 1/d by exp(-2 pi^2 (2/5) sigma^2 r^2 / d^2). A frame
    whose signal is multiplied by g adds most to a mean of equal noise with weight g. Frames without a
    sigma get the weight of the median frame; all 1 where none has one.

    poses : Poses; radius_A : the particle's; detail_A : period that should come out best
    """
    sigma = np.radians(np.asarray(poses.sigma_deg, float))
    known = np.isfinite(sigma)
    if not known.any():
        return np.ones(len(sigma))
    sigma = np.where(known, sigma, np.median(sigma[known]))
    return np.exp(-2 * np.pi**2 * 0.4 * np.square(sigma * radius_A / detail_A))
