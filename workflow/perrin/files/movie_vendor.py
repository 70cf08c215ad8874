"""Movies in the formats of camera makers, through rosettasciio: GPL, so an extra to install."""

import numpy as np

from perrin.files.errors import InputError
from perrin.files.movies import Movie

SUFFIXES = {
    ".dm3": "digitalmicrograph",
    ".dm4": "digitalmicrograph",
    ".ser": "tia",
    ".emi": "tia",
    ".tvips": "tvips",
    ".blo": "blockfile",
    ".mib": "quantumdetector",
}
ANGSTROM = {"nm": 10.0, "Å": 1.0, "A": 1.0, "µm": 1e4, "um": 1e4, "pm": 0.01, "m": 1e10}
SECONDS = {"s": 1.0, "ms": 1e-3, "µs": 1e-6, "us": 1e-6}


def open_vendor(path):
    """A movie read lazily by rosettasciio: the file's one signal of axes (frame, y, x)."""
    name = SUFFIXES[path.suffix.lower()]
    try:
        from importlib import import_module

        import dask  # noqa: F401  (rosettasciio's lazy reading needs it)

        reader = import_module(f"rsciio.{name}")
    except ImportError as error:
        raise InputError(
            f"{path}: {path.suffix} files need the extra packages rosettasciio and dask (pip "
            "install rosettasciio "
            "dask); or export the movie as MRC or TIFF"
        ) from error
    try:
        signals = reader.file_reader(str(path), lazy=True)
    except Exception as error:
        raise InputError(
            f"{path}: rosettasciio cannot read it ({error}); export the movie as MRC or TIFF"
        ) from error
    stacks = [
        signal for signal in signals if signal["data"].ndim in (2, 3) and signal["data"].dtype.kind in "iuf"
    ]
    movies = [signal for signal in stacks if signal["data"].ndim == 3] or stacks
    if len(movies) != 1:
        raise InputError(
            f"{path}: {len(movies)} movies in one file where one is needed; export it as MRC or TIFF"
        )
    data, axes = movies[0]["data"], movies[0]["axes"]
    data = data[None] if data.ndim == 2 else data

    def sections(first, stop):
        return np.asarray(data[first:stop])

    time = axes[0] if len(axes) == 3 else {}
    return Movie(
        path,
        data.shape,
        data.dtype,
        _calibrated(axes[-1], ANGSTROM),
        _calibrated(time, SECONDS),
        None,
        f"rosettasciio {name}",
        sections,
    )


def _calibrated(axis, units):
    """An axis' step in our unit, or None where its unit is another."""
    scale = units.get(str(axis.get("units", "")).strip())
    return float(axis["scale"]) * scale if scale and axis["scale"] > 0 else None
