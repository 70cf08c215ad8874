"""What lies over and under the particle: graphene, and a liquid that is partly still and slowly renewed."""

import numpy as np
from scipy import fft

GRAPHENE_A = 2.4612  # lattice constant; spots at 2.131 A and 1.231 A


def graphene(shape, pixel_A, sheets):
    """Static image of graphene sheets, (height, width), as a share of the background's brightness.

    sheets : [{angle_deg, first 0.015, second 0.005, origin_A [0, 0]}]: direction of one of the 2.13 A waves
        from the image's x axis, and the amplitudes of the 2.13 A and the 1.23 A waves.
    """
    y, x = np.mgrid[: shape[0], : shape[1]] * pixel_A
    image = np.zeros(shape)
    for sheet in sheets:
        x0, y0 = sheet.get("origin_A", (0.0, 0.0))
        for order, (frequency, key, usual) in enumerate(
            ((2 / (np.sqrt(3) * GRAPHENE_A), "first", 0.015), (2 / GRAPHENE_A, "second", 0.005))
        ):
            for turn in range(3):
                angle = np.deg2rad(sheet["angle_deg"] + 60 * turn + 30 * order)
                phase = 2 * np.pi * frequency * ((x - x0) * np.cos(angle) + (y - y0) * np.sin(angle))
                image += 2 * sheet.get(key, usual) * np.cos(phase) * (-1 if order == 0 else 1)
    return image


def _random_field(shape, pixel_A, fine_rms, coarse_rms, coarse_A, rng):
    """Fine grain (periods of 2-4 A, weak atoms through the same lens) plus slow thickness variations."""
    frequency2 = fft.fftfreq(shape[0], pixel_A)[:, None] ** 2 + fft.rfftfreq(shape[1], pixel_A)[None] ** 2
    fine = frequency2 * np.exp(-frequency2 / 0.35**2)
    coarse = np.exp(-2 * frequency2 * (np.pi * coarse_A / 3) ** 2)
    out = np.zeros(shape)
    for transfer, rms in ((fine, fine_rms), (coarse, coarse_rms)):
        transfer = transfer * (frequency2 > 0)
        grain = fft.irfft2(transfer * fft.rfft2(rng.standard_normal(shape)), s=shape)
        out += rms * grain / grain.std()
    return out


def liquid(spec, shape, pixel_A, seed):
    """A function frame -> (height, width): the liquid's image, as a share of the background's brightness.

    spec : fine_rms 0.03, coarse_rms 0.02, coarse_A 12, static_share 0.5 (of the variance), renewed_frames 80.
    The slow part turns from one random field into the next along a quarter circle, so that its variance is
    the same in every frame and any frame can be drawn without those before it.
    """
    amounts = (spec.get("fine_rms", 0.03), spec.get("coarse_rms", 0.02), spec.get("coarse_A", 12.0))
    share, every = spec.get("static_share", 0.5), int(spec.get("renewed_frames", 80))
    still = np.sqrt(share) * _random_field(shape, pixel_A, *amounts, np.random.default_rng([seed, 30]))
    kept = {}

    def knot(number):
        if number not in kept:
            for old in [k for k in kept if k < number - 1]:
                del kept[old]
            rng = np.random.default_rng([seed, 31, number])
            kept[number] = np.sqrt(1 - share) * _random_field(shape, pixel_A, *amounts, rng)
        return kept[number]

    def image(frame):
        number, part = divmod(frame, every)
        angle = np.pi / 2 * part / every
        return still + np.cos(angle) * knot(number) + np.sin(angle) * knot(number + 1)

    return image
