"""The picture of the field: what the first frames look like, the particle found, the path it took."""

import numpy as np
from skimage.restoration import denoise_tv_chambolle

from perrin.files.atomic import whole

COLOURS = {"ok": "#2a9d8f", "edge": "#e9a03b", "crowded": "#8e44ad", "lost": "#c0392b", "blank": "#888888"}


def denoised_average(image, weight=0.15):
    """Total-variation denoised average (Rudin, Osher and Fatemi), scaled to its 1st and 99th percentile."""
    low, high = np.percentile(image, [1, 99])
    return denoise_tv_chambolle(np.clip((image - low) / max(high - low, 1e-9), 0, 1), weight=weight)


def draw_field(target, path, pixel_A, verdict):
    """Draw the average of the first frames, the track coloured by verdict, the first box and the outline."""
    from matplotlib.figure import Figure
    from matplotlib.patches import Circle, Rectangle

    figure = Figure(figsize=(6, 6 * path.picture.shape[0] / path.picture.shape[1] + 0.4), dpi=130)
    axes = figure.add_subplot()
    axes.imshow(denoised_average(path.picture), cmap="gray")
    for kind, colour in COLOURS.items():
        rows = verdict == kind
        if rows.any():
            axes.plot(*path.place[rows].T, ".", ms=1.5, color=colour, label=f"{kind}, {rows.sum()} frames")
    centre, half = path.place[0], path.box_px // 2
    corner = np.rint(centre) - half - 0.5
    axes.add_patch(Rectangle(corner, path.box_px, path.box_px, fill=False, ec="white", lw=0.8))
    axes.add_patch(Circle(centre, path.extent_A / pixel_A, fill=False, ec="white", lw=0.8, ls=":"))
    axes.set(xlabel="x, px", ylabel="y, px", xlim=(-0.5, path.picture.shape[1] - 0.5))
    axes.set_ylim(path.picture.shape[0] - 0.5, -0.5)
    axes.legend(loc="upper right", fontsize=7, markerscale=4, framealpha=0.7)
    figure.tight_layout()
    with whole(target) as temporary:
        figure.savefig(temporary, format="png", metadata={"Software": None})
