"""Movies in TIFF and BigTIFF stacks."""

import logging
import re

import numpy as np
import tifffile

from perrin.files import mrc
from perrin.files.errors import InputError
from perrin.files.movies import Movie

log = logging.getLogger("perrin")

ANGSTROM = {
    "angstrom": 1.0,
    "ångström": 1.0,
    "a": 1.0,
    "å": 1.0,
    "pm": 0.01,
    "nm": 10.0,
    "nanometer": 10.0,
    "nanometre": 10.0,
    "um": 1e4,
    "µm": 1e4,
    "μm": 1e4,
    "micron": 1e4,
    "mm": 1e7,
    "cm": 1e8,
    "m": 1e10,
    "inch": 2.54e8,
}


def open_tiff(path):
    """A TIFF or BigTIFF stack, one page a frame, or ImageJ's single block of frames; grey values only.

    The pixel size is read from ImageJ's unit, OME's PhysicalSizeX, or the resolution tags where these make
    sense for a microscope; the frame time from ImageJ's finterval or OME's TimeIncrement.
    """
    try:
        tiff = tifffile.TiffFile(path)
        if tiff.is_shaped and len(tiff.series) > 1:
            # frames that were written one by one, each with a note of its own shape, are one movie all the same
            tiff = tifffile.TiffFile(path, is_shaped=False)
        series = tiff.series[0]
    except Exception as error:
        raise InputError(f"{path}: not a readable TIFF ({error}); copy it again or save it as MRC") from error
    page = series.pages[0]
    shape, dtype = tuple(size for size in series.shape[:-2] if size > 1), series.dtype
    if len(shape) > 1 or page.samplesperpixel != 1 or dtype.kind not in "iuf":
        raise InputError(
            f"{path}: a movie must be one stack of grey frames, this has axes {series.axes} of "
            f"sizes {series.shape} "
            f"({dtype}); save one channel as a plain stack"
        )
    shape = (shape[0] if shape else 1, *series.shape[-2:])
    if len(tiff.series) > 1:
        log.warning("%s: %d series of images; the first, %s, is the movie", path, len(tiff.series), shape)
    _check(path, tiff, series, shape)
    contiguous = series.dataoffset is not None
    stored = dtype.newbyteorder(tiff.byteorder)

    def unpacked(first, stop):
        return np.stack([series.pages[k].asarray(maxworkers=1) for k in range(first, stop)])

    read = mrc.readers(path, stored, series.dataoffset, shape) if contiguous else (unpacked, None)
    pixel_A, frame_time_s = _calibration(tiff, page)
    return Movie(path, shape, dtype, pixel_A, frame_time_s, None, "TIFF", *read, rows_apart=contiguous)


def _check(path, tiff, series, shape):
    """Raise InputError for a stack cut off in the middle or packed in a way that cannot be unpacked here."""
    size = path.stat().st_size
    if _next_page(tiff) != 0:
        raise InputError(
            f"{path}: truncated or damaged after {len(tiff.pages)} pages: the next one is not "
            "where the file says; "
            "copy it again"
        )
    if series.dataoffset is not None:
        needed = series.dataoffset + series.dtype.itemsize * int(np.prod(shape, dtype=np.int64))
        if size < needed:
            raise InputError(f"{path}: truncated: {size} bytes of {needed}; copy it again")
        return
    last = series.pages[shape[0] - 1]
    if last is None or max(np.add(last.dataoffsets, last.databytecounts)) > size:
        raise InputError(f"{path}: truncated: the last of {shape[0]} frames is not whole; copy it again")
    try:
        series.pages[0].asarray(maxworkers=1)
    except Exception as error:
        raise InputError(
            f"{path}: its compression ({series.pages[0].compression.name}) cannot be unpacked: "
            f"{error}; install "
            "imagecodecs (pip install imagecodecs) or save the stack uncompressed"
        ) from error


def _next_page(tiff):
    """Where the last page that was found says the next one is: 0 at the end of a whole file."""
    form, page = tiff.tiff, tiff.pages[-1]
    tiff.filehandle.seek(page.offset)
    count = int.from_bytes(tiff.filehandle.read(form.tagnosize), _ORDER[form.byteorder])
    tiff.filehandle.seek(page.offset + form.tagnosize + count * form.tagsize)
    return int.from_bytes(tiff.filehandle.read(form.offsetsize), _ORDER[form.byteorder])


_ORDER = {"<": "little", ">": "big"}


def _calibration(tiff, page):
    """(pixel size in angstrom or None, frame time in seconds or None) from the file's tags."""
    if tiff.is_ome and tiff.ome_metadata:
        step, unit = (
            _attribute(tiff.ome_metadata, "PhysicalSizeX"),
            _attribute(tiff.ome_metadata, "PhysicalSizeXUnit"),
        )
        seconds = _attribute(tiff.ome_metadata, "TimeIncrement")
        scale = ANGSTROM.get((unit or "µm").strip().lower())
        pixel_A = float(step) * scale if step and scale else None
        return _sensible(pixel_A), _positive(seconds)
    if tiff.is_imagej:
        about = tiff.imagej_metadata or {}
        scale = ANGSTROM.get(str(about.get("unit", "")).strip().replace("\\u00B5", "µ").lower())
        per_unit = _resolution(page)
        pixel_A = scale / per_unit if scale and per_unit else None
        return _sensible(pixel_A), _positive(about.get("finterval"))
    per_unit, unit = _resolution(page), page.tags.get("ResolutionUnit")
    scale = {2: ANGSTROM["inch"], 3: ANGSTROM["cm"]}.get(int(unit.value) if unit else 2)
    return _sensible(scale / per_unit if scale and per_unit else None), None


def _resolution(page):
    """Pixels per unit along x, or None."""
    tag = page.tags.get("XResolution")
    if tag is None or 0 in tag.value:
        return None
    return tag.value[0] / tag.value[1]


def _sensible(pixel_A):
    """The pixel size where it can be that of an electron microscope; screen resolutions (72 dpi) are not."""
    return float(f"{pixel_A:.7g}") if pixel_A is not None and 0 < pixel_A < 1e3 else None


def _positive(value):
    """A positive float, or None."""
    try:
        return float(value) if value is not None and float(value) > 0 else None
    except ValueError:
        return None


def _attribute(xml, name):
    """The first value of an XML attribute, or None."""
    found = re.search(rf'\b{name}="([^"]*)"', xml)
    return found.group(1) if found else None
