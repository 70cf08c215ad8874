"""Density maps: MRC, mode 2, ISPG 1; the centre of voxel (0, 0, 0) lies at 0 angstrom."""

from pathlib import Path

import numpy as np

from perrin.files import mrc
from perrin.files.atomic import whole
from perrin.files.errors import InputError
from perrin.files.records import Map


def write_map(path, density):
    """Write a Map, data (z, y, x) stored as float32, to an MRC volume; whole or not at all."""
    data = np.ascontiguousarray(density.data, dtype="<f4")
    if data.ndim != 3:
        raise ValueError(f"a map has three axes (z, y, x), not {data.shape}")
    with whole(path) as temporary, open(temporary, "wb") as file:
        file.write(mrc.header_bytes(data.shape, density.pixel_A, False, mrc.statistics_of(data)))
        data.tofile(file)


def read_map(path):
    """Read an MRC volume into a Map: data (z, y, x) float32, voxel size in angstrom.

    >>> from perrin.files.records import Map
    >>> write_map("map.mrc", Map(np.zeros((32, 32, 32), np.float32), 0.358))
    >>> density = read_map("map.mrc")
    >>> density.data.shape, round(density.pixel_A, 3)
    ((32, 32, 32), 0.358)
    """
    if not Path(path).is_file():
        raise InputError(f"{path}: no such map; check the path, or run the stage that writes it")
    header = mrc.read_header(path)
    if header.pixel_A is None:
        raise InputError(
            f"{path}: the header holds no voxel size; set it (for example with IMOD's alterheader)"
        )
    data = mrc.read_sections(path, header.dtype, header.offset, header.shape, 0, header.shape[0])
    return Map(data.astype(np.float32, copy=False), header.pixel_A)
