"""Class averages for eyes: a contact sheet and an animation."""

import numpy as np
from PIL import Image, ImageDraw

from perrin.files.atomic import whole


def to_grey(images, low_pct=1.0, high_pct=99.7):
    """Images as uint8 on one common scale, so that contrast can be compared between them."""
    finite = images[np.isfinite(images)]
    if finite.size == 0 or np.ptp(finite) == 0:
        return np.full(images.shape, 128, np.uint8)
    low, high = np.percentile(finite, [low_pct, high_pct])
    scaled = (np.nan_to_num(images) - low) / max(high - low, 1e-12)
    return (255 * np.clip(scaled, 0, 1)).round().astype(np.uint8)


def contact_sheet(path, images, labels, columns=12, scale=1):
    """A page of images, row by row in time, each with a label in its corner (PNG)."""
    grey = to_grey(images)
    n = grey.shape[-1]
    columns = min(columns, len(grey))
    rows = -(-len(grey) // columns)
    cell = n * scale + 2
    page = Image.new("L", (columns * cell, rows * cell), 255)
    draw = ImageDraw.Draw(page)
    for i, (image, label) in enumerate(zip(grey, labels)):
        x, y = i % columns * cell, i // columns * cell
        page.paste(Image.fromarray(image).resize((n * scale, n * scale), Image.Resampling.NEAREST), (x, y))
        draw.text((x + 2, y + 1), str(label), fill=255, stroke_width=1, stroke_fill=0)
    with whole(path) as temporary:
        page.save(temporary, format="PNG")


def animation(path, images, labels, frame_ms=120, scale=2):
    """The images one after the other, for ever (GIF)."""
    grey = to_grey(images)
    n = grey.shape[-1] * scale
    pages = []
    for image, label in zip(grey, labels):
        page = Image.fromarray(image).resize((n, n), Image.Resampling.BICUBIC)
        ImageDraw.Draw(page).text((4, 3), str(label), fill=255, stroke_width=1, stroke_fill=0)
        pages.append(page)
    with whole(path) as temporary:
        pages[0].save(
            temporary, format="GIF", save_all=True, append_images=pages[1:], duration=frame_ms, loop=0
        )
