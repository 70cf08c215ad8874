"""How good each frame is, by numbers that compare it with its neighbours in time, and which frames to leave out.

Energies vary tenfold as the particle turns through zone axes, so that nothing about the lattice at the particle
itself may reject a frame for being high or low alone. What does: the noise (blank, dim, doubled frames), energy at
low frequencies (defocus, debris), lattice energy outside the particle (another particle), agreement with the
class far below the neighbours', a lost or jumping track.
"""

import numpy as np
import scipy.fft
from scipy.ndimage import median_filter

from perrin.frames.bands import frequencies, soft_band

LOW_A1 = (0.08, 0.30)
LATTICE_A1 = (0.36, 0.95)


def features(images, pixel_A, radius_A):
    """Numbers of each frame, dict of (f,): noise, low_energy, band_energy, outside_energy; white noise of unit
    variance gives 1 in each.

    images : (f, n, n), noise 1; radius_A : of the particle about the box centre
    """
    f, n, _ = images.shape
    k = frequencies(n, pixel_A)
    nyquist = 0.5 / pixel_A
    twice = np.where((np.arange(n // 2 + 1) > 0) & (np.arange(n // 2 + 1) < n / 2), 2.0, 1.0)
    r = np.hypot(*(np.indices((n, n)) - n // 2)) * pixel_A
    inside = r <= radius_A
    border = 4
    outside = r > radius_A + 2.5
    outside[:border] = outside[-border:] = outside[:, :border] = outside[:, -border:] = False
    high = (k >= 0.75 * nyquist) & (k <= 0.965 * nyquist)
    low = soft_band(k, *LOW_A1, 0.02)
    lattice = soft_band(k, *LATTICE_A1, 0.03).astype(np.float32)
    out = {name: np.empty(f) for name in ("noise", "low_energy", "band_energy", "outside_energy")}
    for a in range(0, f, 128):
        rows = slice(a, min(a + 128, f))
        spectrum = scipy.fft.rfft2(np.asarray(images[rows], np.float32))
        power = (np.abs(spectrum) ** 2) * (twice / n**2)
        out["noise"][rows] = np.sqrt((power * high).sum((1, 2)) / (high * twice).sum())
        out["low_energy"][rows] = (power * low).sum((1, 2)) / (low * twice).sum()
        energy = np.square(scipy.fft.irfft2(spectrum * lattice, s=(n, n)))
        white = (lattice**2 * twice).sum() / n**2
        out["band_energy"][rows] = energy[:, inside].mean(1) / white
        out["outside_energy"][rows] = energy[:, outside].mean(1) / white if outside.sum() > 50 else np.nan
    return out


def local_z(values, window=61, floor=0.0):
    """Deviation of each value from the running median, in robust standard deviations of such deviations.

    floor : smallest standard deviation that is believed
    """
    values = np.asarray(values, float)
    good = np.isfinite(values)
    if not good.any():
        return np.zeros_like(values)
    filled = np.where(good, values, np.median(values[good]))
    window = min(window, len(filled) // 2 * 2 + 1)
    deviation = filled - median_filter(filled, window, mode="nearest")
    sd = max(1.4826 * np.median(np.abs(deviation - np.median(deviation))), floor, 1e-12)
    return np.where(good, deviation / sd, 0.0)


def judge(measured, correlation, jump_px, verdict, limit_sd=6.0, jump_limit_px=12.0):
    """Which frames to accept, and the first reason why the others are not.

    measured : dict from `features`; correlation : (f,) with the class; jump_px : (f,) how far the tracked centre
    lies from the median of its neighbours; verdict : (f,) text from tracking, "ok" is good
    -> accepted (f,) bool, reason (f,) text, empty where accepted
    """
    f = len(correlation)
    reason = np.full(f, "", dtype=object)

    def reject(where, why):
        reason[np.asarray(where) & (reason == "")] = why

    noise = np.asarray(measured["noise"])
    typical = np.median(noise[noise > 0]) if (noise > 0).any() else 1.0
    for name in np.unique(verdict):
        if name not in ("ok", "good"):
            reject(verdict == name, f"track: {name}")
    reject(noise < 0.5 * typical, "blank or dim")
    reject(~np.isfinite(measured["band_energy"]), "not a number")
    z = local_z(np.log(np.maximum(noise, 1e-6)), floor=0.01)
    reject(z > limit_sd, "too many counts")
    reject(z < -limit_sd, "too few counts")
    reject(local_z(np.log(np.maximum(measured["low_energy"], 1e-6)), floor=0.05) > limit_sd, "background")
    reject(
        local_z(np.log(np.maximum(measured["outside_energy"], 1e-6)), floor=0.02) > limit_sd,
        "lattice outside the particle",
    )
    reject(jump_px > jump_limit_px, "jump")
    z = local_z(correlation, window=21, floor=0.03)
    reject((z < -limit_sd) & (np.asarray(correlation) < 0.1), "unlike its class")
    return reason == "", reason


def jumps(x, y, window=9):
    """Distance of each position from the running median of its neighbours, (f,), in the unit of x and y."""
    window = min(window, len(x) // 2 * 2 + 1)
    return np.hypot(
        x - median_filter(np.asarray(x, float), window, mode="nearest"),
        y - median_filter(np.asarray(y, float), window, mode="nearest"),
    )
