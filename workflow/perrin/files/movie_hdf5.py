"""Movies in HDF5: a file with one three-dimensional dataset, and Velox EMD."""

import json

import h5py
import numpy as np

from perrin.files.errors import InputError
from perrin.files.movie_tiff import ANGSTROM
from perrin.files.movies import Movie

CACHE_BYTES = (
    64_000_000  # of unpacked chunks: the library's 1 MB would unpack a chunk of many frames again and again
)


def open_hdf5(path):
    """A movie from Velox EMD (Data/Image/*/Data, frames last) or the one dataset (frame, y, x) of HDF5."""
    try:
        file = h5py.File(path, "r", rdcc_nbytes=CACHE_BYTES)
    except OSError as error:
        raise InputError(f"{path}: truncated or damaged HDF5 ({error}); copy it again") from error
    images = file.get("Data/Image")
    if isinstance(images, h5py.Group) and len(images):
        return _velox(path, file, images)
    found = []
    file.visititems(lambda name, item: found.append(item) if _is_movie(item) else None)
    if len(found) != 1:
        names = ", ".join(item.name for item in found) or "none"
        raise InputError(
            f"{path}: a movie file must hold one dataset of three axes (frame, y, x), this one "
            f"holds {len(found)} "
            f"({names}); copy the movie into a file of its own (h5copy, h5py)"
        )
    data = found[0]
    pixel_A = _ncem_pixel(data)

    def window(first, stop, window):
        y0, y1, x0, x1 = window
        return data[first:stop, y0:y1, x0:x1]

    return _movie(path, data, data.shape, pixel_A, None, "HDF5", lambda first, stop: data[first:stop], window)


def _velox(path, file, images):
    """Thermo Fisher Velox: one image stack with axes (y, x, frame) and a JSON text per frame."""
    groups = [images[name] for name in images]
    groups = [group for group in groups if _is_movie(group.get("Data"))] or groups
    groups = sorted(groups, key=lambda group: -group["Data"].shape[-1])
    data = groups[0]["Data"]
    if len(groups) > 1 and groups[1]["Data"].shape[-1] == data.shape[-1] > 1:
        raise InputError(f"{path}: {len(groups)} movies in one Velox file; export one of them as MRC or TIFF")
    rows, columns, frames = data.shape
    about = _velox_metadata(groups[0])
    pixel = about.get("BinaryResult", {}).get("PixelSize", {}).get("width")
    unit = about.get("BinaryResult", {}).get("PixelUnitX", "m")
    pixel_A = float(pixel) * ANGSTROM.get(unit, 1e10) if pixel else None

    def sections(first, stop):
        return np.moveaxis(data[:, :, first:stop], -1, 0)

    def window(first, stop, window):
        y0, y1, x0, x1 = window
        return np.moveaxis(data[y0:y1, x0:x1, first:stop], -1, 0)

    shape = (frames, rows, columns)
    return _movie(path, data, shape, pixel_A, _velox_time(about), "Velox EMD", sections, window)


def _movie(path, data, shape, pixel_A, frame_time_s, kind, sections, window):
    pixel_A = float(f"{pixel_A:.7g}") if pixel_A and np.isfinite(pixel_A) and pixel_A > 0 else None
    plain = data.chunks is None and kind == "HDF5"
    return Movie(
        path, tuple(shape), data.dtype, pixel_A, frame_time_s, None, kind, sections, window, rows_apart=plain
    )


def _is_movie(item):
    return isinstance(item, h5py.Dataset) and item.ndim == 3 and item.dtype.kind in "iuf"


def _velox_metadata(group):
    """The metadata of the first frame: JSON in a column of bytes, padded with zeros."""
    if "Metadata" not in group:
        return {}
    try:
        return json.loads(bytes(group["Metadata"][:, 0]).split(b"\0", 1)[0])
    except ValueError:
        return {}


def _velox_time(about):
    """Seconds per frame from the detector's frame or exposure time, or None."""
    for detector in about.get("Detectors", {}).values():
        for key in ("FrameTime", "ExposureTime"):
            if float(detector.get(key, 0) or 0) > 0:
                return float(detector[key])
    return None


def _ncem_pixel(data):
    """The pixel size of the Berkeley EMD layout (dimension vectors dim1..dim3 beside the data), or None."""
    step = data.parent.get("dim3")
    if step is None or len(step) < 2:
        return None
    unit = step.attrs.get("units", b"")
    unit = unit.decode("utf-8", "replace") if isinstance(unit, bytes) else str(unit)
    scale = ANGSTROM.get(unit.strip("[] ").replace("_", "").lower())
    return abs(float(step[1] - step[0])) * scale if scale else None
