"""Pictures for the page: pictures of other stages made small, and slices of maps; all as data, none as a link."""

import base64
import io
from pathlib import Path

import numpy as np
from PIL import Image

GAP = 3


def embedded(path, most_px, quality):
    """A picture file as {"data", "width", "height"}: WebP, no edge longer than most_px; None where there is no file.

    An SVG stays what it is.
    """
    path = Path(path)
    if not path.is_file() or path.stat().st_size == 0:
        return None
    if path.suffix == ".svg":
        return {"data": "data:image/svg+xml;base64," + base64.b64encode(path.read_bytes()).decode()}
    with Image.open(path) as opened:
        image = opened.convert("RGB")
    if max(image.size) > most_px:
        image.thumbnail((most_px, most_px), Image.Resampling.LANCZOS)
    return webp(image, quality)


def webp(image, quality):
    """A PIL image as data for an <img>."""
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=quality, method=2)
    width, height = image.size
    data = "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()
    return {"data": data, "width": width, "height": height}


def slices(density, reach_A, slice_px, quality):
    """The three central slices (xy, xz, yz) of a Map side by side, as data for an <img>.

    reach_A : half of the edge that is shown; grey values run from the 0.5 to the 99.8 percentile of what is shown
    "png" are the bytes of the same picture without loss
    """
    data, pixel = np.asarray(density.data, np.float32), density.pixel_A
    centre = np.array(data.shape) // 2
    half = int(np.clip(np.ceil(reach_A / pixel), 4, min(centre) - 1))
    near = tuple(slice(c - half, c + half + 1) for c in centre)
    cut = data[near]
    planes = [cut[half], cut[:, half], cut[:, :, half]]
    low, high = np.percentile(np.stack(planes), [0.5, 99.8])
    sheet = np.full((slice_px, 3 * slice_px + 2 * GAP), 128, np.uint8)
    for index, plane in enumerate(planes):
        grey = np.clip((plane - low) / max(high - low, 1e-12), 0, 1) * 255
        image = Image.fromarray(grey.astype(np.uint8)).resize((slice_px, slice_px), Image.Resampling.BICUBIC)
        start = index * (slice_px + GAP)
        sheet[:, start : start + slice_px] = np.asarray(image)
    buffer = io.BytesIO()
    Image.fromarray(sheet).save(buffer, "PNG")
    found = webp(Image.fromarray(sheet), quality)
    return found | {"edge_A": (2 * half + 1) * pixel, "png": buffer.getvalue()}
