"""How good each frame is, by numbers that compare it with its neighbours in time, and which frames to leave out.

Energies vary tenfold as the particle turns through zone axes, so that nothing about the lattice at the particle
itself may reject a frame for being high or low alone. What does: the noise (blank, dim, doubled frames), energy at
low frequencies (defocus, debris), lattice energy outside the particle (another particle), agreement with the
class far below the neighbours', a lost or jumping track.
"""

import numpy as np
import scipy.fft
from scipy.ndimage import median_filter, uniform_filter1d

from perrin.frames.bands import frequencies, soft_band

LOW_A1 = (0.08, 0.30)
LATTICE_A1 = (0.36, 0.95)
DISC_A = 4.5  # radius over which lattice energy is gathered in the search for other particles
PASSAGE_FRAMES = 401  # background that varies over fewer frames is news
UNLIKE = 0.55  # share of its neighbours' correlation below which a frame shows something else


def features(images, pixel_A, radius_A, reach_A=None):
    """Numbers of each frame, dict of (f,): noise, low_energy, band_energy, outside_energy; white noise of unit
    variance gives 1 in each, and a little more in outside_energy, the highest of many places; band_sigma is what
    noise makes of band_energy.

    images : (f, n, n), noise 1; radius_A : of the particle about the box centre; reach_A : of its ends, which are not
        another particle's; None: radius_A
    """
    f, n, _ = images.shape
    k = frequencies(n, pixel_A)
    nyquist = 0.5 / pixel_A
    twice = np.where((np.arange(n // 2 + 1) > 0) & (np.arange(n // 2 + 1) < n / 2), 2.0, 1.0)
    r = np.hypot(*(np.indices((n, n)) - n // 2)) * pixel_A
    inside = r <= radius_A
    border = 4
    outside = r > (radius_A if reach_A is None else reach_A) + 0.7 * DISC_A
    outside[:border] = outside[-border:] = outside[:, :border] = outside[:, -border:] = False
    # the energy gathered over a disc, a good part of another particle, at its highest place
    disc = scipy.fft.rfft2(scipy.fft.ifftshift((r <= DISC_A) / np.sum(r <= DISC_A))).astype(np.complex64)
    high = (k >= 0.75 * nyquist) & (k <= 0.965 * nyquist)
    low = soft_band(k, *LOW_A1, 0.02)
    lattice = soft_band(k, *LATTICE_A1, 0.03).astype(np.float32)
    out = {name: np.ones(f) for name in ("noise", "low_energy", "band_energy", "outside_energy")}
    for a in range(0, f, 128):
        rows = slice(a, min(a + 128, f))
        spectrum = scipy.fft.rfft2(np.asarray(images[rows], np.float32))
        power = (np.abs(spectrum) ** 2) * (twice / n**2)
        out["noise"][rows] = np.sqrt((power * high).sum((1, 2)) / (high * twice).sum())
        out["low_energy"][rows] = (power * low).sum((1, 2)) / (low * twice).sum()
        energy = np.square(scipy.fft.irfft2(spectrum * lattice, s=(n, n)))
        white = (lattice**2 * twice).sum() / n**2
        out["band_energy"][rows] = energy[:, inside].mean(1) / white
        gathered = scipy.fft.irfft2(scipy.fft.rfft2(energy) * disc, s=(n, n))[:, outside]
        out["outside_energy"][rows] = gathered.max(1) / white if outside.any() else np.nan
    # independent numbers in disc and band, each with a chi square of one degree of freedom
    top = min(LATTICE_A1[1], nyquist)
    freedom = np.pi * radius_A**2 * np.pi * max(top**2 - LATTICE_A1[0] ** 2, 0.1)
    out["band_sigma"] = np.full(f, np.sqrt(2 / freedom))
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


def local_middle(values, window=61):
    """The running median, (f,)."""
    return median_filter(np.asarray(values, float), min(window, len(values) // 2 * 2 + 1), mode="nearest")


def both_sides(values, reach=3):
    """The smaller of the medians of the `reach` values before and after each one, (f,); NaN are left out.

    A frame far below both sides differs from them; one on the slope towards an orientation that shows little
    does not.
    """
    f = len(values)
    padded = np.pad(np.asarray(values, float), reach, constant_values=np.nan)
    sides = []
    for steps in (range(-reach, 0), range(1, reach + 1)):
        near = np.stack([padded[reach + k : reach + k + f] for k in steps])
        known = np.isfinite(near).any(0)
        side = np.full(f, np.inf)
        side[known] = np.nanmedian(near[:, known], axis=0)
        sides.append(side)
    smaller = np.minimum(*sides)
    return np.where(np.isfinite(smaller), smaller, 0.0)


def judge(measured, correlation, jump_px, verdict, limit_sd=4.0, jump_limit_px=12.0, chance=np.inf):
    """Which frames to accept, and the first reason why the others are not.

    measured : dict from `features`; correlation : (f,) with the class, None where there are no classes yet;
    jump_px : (f,) how far the tracked centre lies from the median of its neighbours; verdict : (f,) text from
    tracking, "ok" is good; limit_sd : robust standard deviations; chance : correlation that noise
    alone reaches, inf: unknown
    -> accepted (f,) bool, reason (f,) text, empty where accepted
    """
    f = len(jump_px)
    reason = np.full(f, "", dtype=object)

    def reject(where, why):
        reason[np.asarray(where) & (reason == "")] = why

    def log_of(name):
        return np.log(np.maximum(measured[name], 1e-6))

    noise = np.asarray(measured["noise"])
    typical = np.median(noise[noise > 0]) if (noise > 0).any() else 1.0
    for name in np.unique(verdict):
        if name not in ("ok", "good"):
            reject(verdict == name, f"track: {name}")
    reject(~(noise > 0.5 * typical), "blank or dim")
    z = local_z(log_of("noise"), floor=0.01)
    reject(z > limit_sd, "too many counts")
    reject(z < -limit_sd, "too few counts")
    reject(local_z(log_of("low_energy"), floor=0.05) > limit_sd, "background")
    outside = local_z(log_of("outside_energy"), window=PASSAGE_FRAMES, floor=0.02) / 0.8
    outside[reason != ""] = 0
    # a particle that passes by stays for a while: neighbours in time speak together
    together = uniform_filter1d(outside, 7, mode="nearest") * np.sqrt(7)
    reject(
        (outside > limit_sd) | ((together > 1.5 * limit_sd) & (outside > 1)), "lattice outside the particle"
    )
    reject(jump_px > jump_limit_px, "jump")
    if "static_share" in measured:
        share = np.asarray(measured["static_share"])
        sigma = np.asarray(measured["static_sigma"])
        # only where the resting background is strong enough to tell
        reject((sigma < 0.25) & (np.abs(share - local_middle(share)) > limit_sd * sigma), "out of focus")
    if "band_sigma" in measured:
        sigma = measured["band_sigma"]
        energy = np.where(reason == "", measured["band_energy"], np.nan)
        reject((energy < 1 + 2.5 * sigma) & (both_sides(energy) > 1 + 5 * sigma), "no particle")
    if correlation is not None:
        good = reason == ""
        usual = both_sides(np.where(good, correlation, np.nan))
        # where neighbours hardly see the particle themselves, chance decides, not the frame
        seen = usual > 1.3 * chance if np.isfinite(chance) else True
        reject((correlation < UNLIKE * usual) & (correlation < chance) & seen, "unlike its class")
    return reason == "", reason


def jumps(x, y, window=9):
    """Distance of each position from the running median of its neighbours, (f,), in the unit of x and y."""
    window = min(window, len(x) // 2 * 2 + 1)
    return np.hypot(
        x - median_filter(np.asarray(x, float), window, mode="nearest"),
        y - median_filter(np.asarray(y, float), window, mode="nearest"),
    )
