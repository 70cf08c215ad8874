"""The particle's diameter from where its lattice shows: no contrast at low resolution is needed.

The energy of a frame in the lattice band, averaged over many orientations, is proportional to the thickness of
the particle at each point: a reflection with excitation error g gives |w|^2 = (2 h sinc(2 h g))^2 along a chord
2 h, whose integral over g is 2 h. Hence, for a ball of radius Rb seen about its centre,

    E(r) = b + c sqrt(Rb^2 - r^2)  convolved with the errors of centring and the band's own blur
"""

import numpy as np
from scipy.optimize import least_squares

from perrin.frames.bands import band_pass

BAND_A1 = (0.36, 0.95)


def energy_profile(images, pixel_A, offset_px, groups=20, band=BAND_A1, step_px=1.0):
    """Mean energy in the lattice band against the distance from the particle's centre.

    images : (f, n, n); offset_px : (f, 2) centre of the particle from the box centre, x and y
    groups : contiguous groups of frames, averaged apart, whose scatter gives the errors
    -> r_A (m,), profile (groups, m), pixels counted (groups, m)
    """
    f, n, _ = images.shape
    edges = np.linspace(0, f, min(groups, f) + 1).astype(int)
    y, x = np.indices((n, n)) - n // 2
    bins = int(n // 2 / step_px)
    total = np.zeros((len(edges) - 1, bins))
    count = np.zeros((len(edges) - 1, bins))
    # pixels near the border carry the wrap-around of the filter
    inner = (np.abs(x) < n // 2 - 3) & (np.abs(y) < n // 2 - 3)
    for g, (a, b) in enumerate(zip(edges[:-1], edges[1:])):
        for lo in range(a, b, 128):
            rows = slice(lo, min(lo + 128, b))
            part = images[rows]
            good = np.square(part).sum((1, 2)) > 0
            energy = np.square(band_pass(part, pixel_A, *band))
            place = np.floor(
                np.hypot(
                    x[inner] - offset_px[rows, 0, None],
                    y[inner] - offset_px[rows, 1, None],
                )
                / step_px
            ).astype(int)
            keep = (place < bins) & good[:, None]
            total[g] += np.bincount(place[keep], energy[:, inner][keep], bins)
            count[g] += np.bincount(place[keep], minlength=bins)
    r = (np.arange(bins) + 0.5) * step_px * pixel_A
    return r, total / np.maximum(count, 1), count


def thickness_profile(r, radius, sigma):
    """sqrt(radius^2 - r^2) convolved with a two-dimensional Gaussian of sigma per axis; 1 at the centre of an
    unblurred ball of radius 1. All in angstrom."""
    # a fixed number of nodes keeps the result smooth in sigma
    u = np.linspace(-4, 4, 33)
    g = np.exp(-0.5 * u**2)
    g /= g.sum()
    x = np.asarray(r)[:, None, None] - sigma * u[:, None]
    chord = np.sqrt(np.clip(radius**2 - x**2 - (sigma * u) ** 2, 0, None))
    return (chord @ g) @ g / radius


def fit_ball(r, profile, weight, band_blur_A, sigma_limits=(0.0, 2.5)):
    """Radius of the ball whose projected thickness fits the profile.

    r, profile, weight : (m,); weight : inverse variances up to a factor; band_blur_A : blur of the band, per axis
    -> dict radius_A, sigma_A (all blur), height, background
    """
    keep = weight > 0
    r, profile, weight = r[keep], profile[keep], np.sqrt(weight[keep])
    far = profile[-max(3, len(r) // 8) :].mean()
    best = None
    for radius in np.linspace(0.3, 0.8, 4) * r[-1]:
        guess = np.array([radius, max(band_blur_A, 0.6)])

        def residual(p):
            shape = thickness_profile(r, p[0], p[1])
            design = np.stack([shape, np.ones_like(r)], 1) * weight[:, None]
            return design @ np.linalg.lstsq(design, profile * weight, rcond=None)[0] - profile * weight

        low = [1.5, max(band_blur_A + sigma_limits[0], 0.05)]
        high = [1.2 * r[-1], band_blur_A + sigma_limits[1] + 0.1]
        fit = least_squares(residual, np.clip(guess, low, high), bounds=(low, high), diff_step=1e-3)
        if best is None or fit.cost < best.cost:
            best = fit
    shape = thickness_profile(r, *best.x)
    design = np.stack([shape, np.ones_like(r)], 1) * weight[:, None]
    height, base = np.linalg.lstsq(design, profile * weight, rcond=None)[0]
    return {
        "radius_A": float(best.x[0]),
        "sigma_A": float(best.x[1]),
        "height": float(height),
        "background": float(base),
        "far": float(far),
        "fit": height * shape + base,
    }


def diameter(images, pixel_A, offset_px, band=BAND_A1, band_blur_A=0.5, groups=20):
    """Diameter of the ball of the particle's volume, with its standard error from groups of frames.

    -> dict diameter_A, diameter_sigma_A, extent_A (disc of 99 % of the energy), height_sd (the particle's energy in
    its standard errors), blur_A, contrast (height over background), profile and fit by r_A
    """
    r, parts, count = energy_profile(images, pixel_A, offset_px, groups, band)
    weight = count.sum(0)
    profile = (parts * count).sum(0) / np.maximum(weight, 1)
    whole = fit_ball(r, profile, weight, band_blur_A)
    # jackknife over groups of consecutive frames
    left_out = []
    for g in range(len(parts)):
        rest = np.arange(len(parts)) != g
        if not rest.any():
            break
        mean = (parts[rest] * count[rest]).sum(0) / np.maximum(count[rest].sum(0), 1)
        left_out.append(fit_ball(r, mean, count[rest].sum(0), band_blur_A)["radius_A"])
    m = len(left_out)
    error = np.sqrt((m - 1) / m * np.sum((np.array(left_out) - np.mean(left_out)) ** 2)) if m > 1 else np.nan
    # light inside r, over the background: the disc that holds 99 % of it
    inside = np.cumsum(np.maximum(profile - whole["background"], 0) * r * (r < 1.4 * whole["radius_A"]))
    extent = 2 * float(np.interp(0.99 * inside[-1], inside, r)) if inside[-1] > 0 else np.nan
    heights = parts[:, r < 0.6 * whole["radius_A"]].mean(1) - whole["background"]
    scatter = heights.std(ddof=1) / np.sqrt(len(heights)) if len(heights) > 1 else np.nan
    return {
        "diameter_A": 2 * whole["radius_A"],
        "diameter_sigma_A": float(2 * error),
        "extent_A": max(extent, 2 * whole["radius_A"]),
        "height_sd": float(heights.mean() / scatter) if scatter > 0 else 0.0,
        "blur_A": whole["sigma_A"],
        "contrast": whole["height"] / whole["background"] if whole["background"] > 0 else np.nan,
        "r_A": r,
        "profile": profile,
        "fit": np.interp(r, r[weight > 0], whole["fit"]),
    }
