"""perrin: from a movie of a tumbling metal nanocrystal to its atoms as they change in time."""

from perrin.compiled import keep_kernels_apart

keep_kernels_apart()
