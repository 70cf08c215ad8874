"""The picture of the field: what the first frames look like, the particle found, the path it took."""

import numpy as np
from skimage.restoration import denoise_tv_chambolle

from perrin.files.atomic import whole

COLOURS = {"ok": "#2a9d8f", "edge": "#e9a03b", "crowded": "#8e44ad", "lost": "#c0392b", "blank": "#888888"}


SMOOTHERS = ("total_variation", "quadratic")
SHOWN_PX = 1000  # a larger field is drawn on coarser pixels


def denoised_average(image, smoother="total_variation", weight=0.15, strength=1.5):
    """Denoised average of the first frames, scaled to its 1st and 99th percentile; (height, width).

    smoother : total_variation (Rudin, Osher and Fatemi, weight) or quadratic, the authors' program's (strength)
    """
    low, high = (float(limit) for limit in np.percentile(image, [1, 99]))
    scaled = np.clip((image - low) / max(high - low, 1e-9), 0, 1)
    if smoother == "quadratic":
        return quadratic_smoother(scaled, strength)
    return denoise_tv_chambolle(scaled, weight=weight)


def quadratic_smoother(image, strength):
    """The smoother that the authors' program calls total variation: a quadratic B-spline with a squared penalty.

    FT(out) = FT(in) B^2 / (B^2 + strength R), B = product of 3/4 + cos(w)/4 over the axes, R = a0(wx) a2(wy) +
    a2(wx) a0(wy), a0 = 11/20 + 13/30 cos w + cos(2w)/60, a2 = 1 - 2/3 cos w - cos(2w)/3. The program's strengths: 1.5
    for the average in which particles are picked, 10 in its tracker.
    """
    parts = []
    for w in (
        2 * np.pi * np.fft.fftfreq(image.shape[0])[:, None],
        2 * np.pi * np.fft.rfftfreq(image.shape[1]),
    ):
        once, twice = np.cos(w), np.cos(2 * w)
        parts.append(
            (0.75 + 0.25 * once, 11 / 20 + 13 / 30 * once + twice / 60, 1 - 2 / 3 * once - twice / 3)
        )
    (by, a0y, a2y), (bx, a0x, a2x) = parts
    sampled = np.square(by * bx)
    gain = sampled / (sampled + strength * (a0x * a2y + a2x * a0y))
    return np.fft.irfft2(np.fft.rfft2(image) * gain, s=image.shape)


def coarser(image):
    """The image (height, width) averaged over squares of pixels until it is at most SHOWN_PX wide and high."""
    step = int(np.ceil(max(image.shape) / SHOWN_PX))
    height, width = (size // step * step for size in image.shape)
    return image[:height, :width].reshape(height // step, step, width // step, step).mean((1, 3)), step


def shown_average(picture, smoother):
    """The denoised average on pixels coarse enough to be drawn, float32, and how many of the field's make one."""
    small, step = coarser(picture)
    return denoised_average(small.astype(np.float32), smoother), step


def draw_average(axes, field_shape, small, step):
    """Show the denoised average, as of shown_average, on axes that count the field's own pixels."""
    height, width = small.shape[0] * step, small.shape[1] * step
    axes.imshow(small, cmap="gray", extent=(-0.5, width - 0.5, height - 0.5, -0.5))
    axes.set(xlabel="x, px", ylabel="y, px", xlim=(-0.5, field_shape[1] - 0.5))
    axes.set_ylim(field_shape[0] - 0.5, -0.5)


def draw_field(target, path, pixel_A, verdict, small, step):
    """Draw the average of the first frames (of shown_average), the track coloured by verdict, first box and outline."""
    from matplotlib.figure import Figure
    from matplotlib.patches import Circle, Rectangle

    figure = Figure(figsize=(6, 6 * path.picture.shape[0] / path.picture.shape[1] + 0.4), dpi=130)
    axes = figure.add_subplot()
    draw_average(axes, path.picture.shape, small, step)
    for kind, colour in COLOURS.items():
        rows = verdict == kind
        if rows.any():
            axes.plot(*path.place[rows].T, ".", ms=1.5, color=colour, label=f"{kind}, {rows.sum()} frames")
    centre, half = path.place[0], path.box_px // 2
    corner = np.rint(centre) - half - 0.5
    axes.add_patch(Rectangle(corner, path.box_px, path.box_px, fill=False, ec="white", lw=0.8))
    axes.add_patch(Circle(centre, path.extent_A / pixel_A, fill=False, ec="white", lw=0.8, ls=":"))
    axes.legend(loc="upper right", fontsize=7, markerscale=4, framealpha=0.7)
    figure.tight_layout()
    with whole(target) as temporary:
        figure.savefig(temporary, format="png", metadata={"Software": None})
