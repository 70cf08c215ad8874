"""The image of one atom from first principles, and how it changes with the atom's height along the beam.

    psi(r) = exp(i sigma V(r)),   P(r; d) = |F^-1[F[psi] exp(-i chi)]|^2 - 1,
    chi(k) = pi lambda d k^2 + pi / 2 C3 lambda^3 k^4

d is the way from the atom to the plane in focus, along the beam: an atom at height z sees d - z. V is the projected
potential of the element's scattering factors (gemmi's tables); what spread and camera blur is a Gaussian on P. The
change with z is what projections lack: it tells a structure from its mirror image. Conventions: beam along +z, d > 0
is overfocus, which makes atoms bright with negative C3 (and dark with the signs of both reversed).
"""

import gemmi
import numpy as np

from perrin.imaging.profile import Profile

WAVELENGTH_A = 0.0196875  # 300 kV
SIGMA = 6.526e-4  # interaction constant at 300 kV, rad / (V A)
POTENTIAL = 47.878  # V A^2 for a scattering factor of 1 A
C3_A = 1.0e5  # 10 um, as aberration-corrected microscopes are set for bright atoms
VIBRATION_A2 = 0.7  # B of the atoms
BLURS_A2 = np.linspace(0.5, 8, 16)  # B of spread and camera, tried
WIDTHS_A = (0.28, 0.42, 0.6, 0.85, 1.2)
STEP_A, SIDE = 0.08, 160


def scherzer_A(c3_A=C3_A):
    """Overfocus that balances a negative C3: 1.2 sqrt(|C3| lambda), angstrom."""
    return 1.2 * np.sqrt(abs(c3_A) * WAVELENGTH_A)


def atom_image(element, focus_A, c3_A, blur_A2=0.0):
    """P on a square grid of STEP_A, the atom at index SIDE // 2; contrast (1 is the mean intensity)."""
    form = gemmi.Element(element).c4322
    axis = (np.arange(SIDE) - SIDE // 2) * STEP_A
    r2 = axis[:, None] ** 2 + axis**2
    width = np.array(form.b) + VIBRATION_A2
    height = POTENTIAL * np.array(form.a) * 4 * np.pi / width
    potential = sum(h * np.exp(-4 * np.pi**2 * r2 / w) for h, w in zip(height, width, strict=True))
    k = np.fft.fftfreq(SIDE, STEP_A)
    k2 = k[:, None] ** 2 + k**2
    chi = np.pi * WAVELENGTH_A * focus_A * k2 + 0.5 * np.pi * c3_A * WAVELENGTH_A**3 * k2**2
    wave = np.fft.ifft2(np.fft.fft2(np.exp(1j * SIGMA * potential)) * np.exp(-1j * chi))
    return np.fft.ifft2(np.fft.fft2(np.abs(wave) ** 2 - 1) * np.exp(-blur_A2 * k2 / 4)).real


def radial(image, reach_A=4.0):
    """r (m,) and the image along its row through the centre, angstrom."""
    middle = SIDE // 2
    count = int(reach_A / STEP_A)
    return np.arange(count) * STEP_A, image[middle, middle : middle + count]


def depth_profiles(element, polarity, like, c3_A=None):
    """An atom's image and its change with height, as Profiles on the library's scale (atoms bright).

    polarity : "bright" or "dark", as the movie shows atoms; it sets the sign of C3, and of the focus
    like : Profile that frames gave; the blur is the one that comes nearest to it. (So would a focus, but the two
        make up for each other, and the change with height hangs on the focus: it stays at Scherzer's)
    returns the image (height 1 at its centre after the high-pass of `like`), its change for one angstrom of z, and
    {"focus_A", "blur_A2", "mismatch"}
    """
    sign = 1 if polarity == "bright" else -1
    c3 = -sign * C3_A if c3_A is None else c3_A
    focus, step = sign * scherzer_A(c3), 5.0
    best = None
    for blur in BLURS_A2:
        r, middle = radial(atom_image(element, focus, c3, blur))
        image = _as_gaussians(r, sign * middle, like.highpass)
        height = float(image.value(0.0))
        wanted = like.value(r) / like.value(0.0)
        away = image.value(r) / height - wanted
        mismatch = float(np.sqrt(np.sum(r * away**2) / np.sum(r * wanted**2)))
        if best is None or mismatch < best[0]:
            best = (mismatch, blur, image, height)
    mismatch, blur, image, height = best
    _, near = radial(atom_image(element, focus - step, c3, blur))
    _, far = radial(atom_image(element, focus + step, c3, blur))
    change = _as_gaussians(r, sign * (near - far) / (2 * step), like.highpass)
    facts = {"focus_A": float(focus), "blur_A2": float(blur), "mismatch": mismatch}
    return (
        Profile(image.sigma_A, image.weight / height, like.highpass),
        Profile(change.sigma_A, change.weight / height, like.highpass),
        facts,
    )


def _as_gaussians(r, values, highpass):
    """A radial function as a sum of Gaussians, least squares over the plane."""
    sigma = np.array(WIDTHS_A)
    basis = np.exp(-np.square(r)[:, None] / (2 * sigma**2)) / (2 * np.pi * sigma**2)
    weight = np.sqrt(r + STEP_A / 4)
    A, b = basis * weight[:, None], values * weight
    ridge = 1e-4 * np.trace(A.T @ A) / len(sigma)
    return Profile(sigma, np.linalg.solve(A.T @ A + ridge * np.eye(len(sigma)), A.T @ b), highpass)
