"""Stacks of images: MRC, mode 2 (float32) or 12 (float16), ISPG 0, one box per frame."""

from contextlib import contextmanager
from pathlib import Path

import numpy as np

from perrin.files import mrc
from perrin.files.atomic import whole
from perrin.files.errors import InputError


def write_stack(path, images, pixel_A):
    """Write images (n, y, x), stored as float32, to an MRC stack; whole or not at all."""
    with stack_writer(path, np.shape(images), pixel_A) as stack:
        for first in range(0, len(images), 256):
            stack.append(images[first : first + 256])


@contextmanager
def stack_writer(path, shape, pixel_A, stored="float32"):
    """Context manager that writes a stack of known shape (n, y, x) piece by piece; memory is one piece.

    stored : float32, or float16: half the size, values to 0.05 %, integers up to 2048 exactly; InputError beyond 65504.

    Yields an object with append(images), images (m, y, x) or (y, x). The file appears when the block ends
    and all n images have come; any error, or another number of images, leaves nothing.
    """
    shape = tuple(int(size) for size in shape)
    if len(shape) != 3:
        raise ValueError(f"a stack has three axes (n, y, x), not {shape}")
    with whole(path) as temporary, open(temporary, "r+b") as file:
        file.write(mrc.header_bytes(shape, pixel_A, stack=True, stored=stored))
        pieces = _Pieces(path, file, shape, stored)
        yield pieces
        if pieces.count != shape[0]:
            raise ValueError(f"{path}: {pieces.count} images came, {shape[0]} were announced")
        file.seek(0)
        file.write(
            mrc.header_bytes(shape, pixel_A, stack=True, statistics=pieces.statistics(), stored=stored)
        )


def read_stack(path, first=None, stop=None):
    """Images first..stop-1 (all where not given) of a stack, (n, y, x) float32.

    >>> write_stack("boxes.mrcs", np.ones((5, 32, 32), np.float32), 0.358)
    >>> read_stack("boxes.mrcs", 1, 3).shape, stack_info("boxes.mrcs")[0]
    ((2, 32, 32), (5, 32, 32))
    """
    header = _header(path)
    first, stop, _ = slice(first, stop).indices(header.shape[0])
    stop = max(first, stop)
    images = mrc.read_sections(path, header.dtype, header.offset, header.shape, first, stop)
    return images.astype(np.float32, copy=False)


def stack_info(path):
    """Shape (n, y, x) and pixel size in angstrom (None where unknown) of a stack, from its header."""
    header = _header(path)
    return header.shape, header.pixel_A


def _header(path):
    if not Path(path).is_file():
        raise InputError(f"{path}: no such stack; run the stage that writes it")
    return mrc.read_header(path)


class _Pieces:
    """The open stack: writes images one after the other and keeps the sums for the header's statistics."""

    def __init__(self, path, file, shape, stored):
        self.path, self.file, self.shape, self.count = path, file, shape, 0
        self.dtype = np.dtype({"float32": "<f4", "float16": "<f2"}[stored])
        self.least, self.most, self.sum, self.squares = np.inf, -np.inf, 0.0, 0.0

    def append(self, images):
        """Write the next image (y, x) or images (m, y, x)."""
        images = np.ascontiguousarray(images, dtype="<f4")
        images = images.reshape(-1, *images.shape[-2:])
        if images.shape[1:] != self.shape[1:] or self.count + len(images) > self.shape[0]:
            raise ValueError(f"{self.count} + {images.shape} images do not fit a stack of shape {self.shape}")
        if self.dtype.itemsize == 2 and images.size and np.abs(images).max() > np.finfo(self.dtype).max:
            raise InputError(
                f"{self.path}: values up to {np.abs(images).max():.6g} do not fit into float16, which ends at 65504; "
                "set stored to float32"
            )
        images = images.astype(self.dtype, copy=False)
        images.tofile(self.file)
        self.count += len(images)
        if images.size:
            self.least = min(self.least, images.min())
            self.most = max(self.most, images.max())
            self.sum += images.sum(dtype=np.float64)
            self.squares += np.square(images, dtype=np.float64).sum()

    def statistics(self):
        """(min, max, mean, standard deviation) of what was written."""
        values = self.count * self.shape[1] * self.shape[2]
        if values == 0 or not np.isfinite(self.squares):
            return mrc.UNKNOWN_STATISTICS
        mean = self.sum / values
        return self.least, self.most, mean, np.sqrt(max(0.0, self.squares / values - mean**2))
