"""What a result was made of: code, settings, inputs, packages, machine, time."""

import hashlib
import os
import platform
import resource
import sys
import time
from importlib import metadata
from pathlib import Path

from perrin.files.atomic import write_json
from perrin.version import VERSION

PACKAGES = [
    "numpy",
    "scipy",
    "numba",
    "finufft",
    "scikit-image",
    "scikit-learn",
    "mrcfile",
    "tifffile",
    "h5py",
    "gemmi",
    "pandas",
    "matplotlib",
    "snakemake",
]
WHOLE_LIMIT = 50_000_000
PIECE = 1 << 20


def usage():
    """Clock readings to hand to `write_provenance`: wall and CPU seconds of this process and its children."""
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "wall_s": time.monotonic(),
        "cpu_s": own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime,
    }


def write_provenance(path, *, stage, inputs, config, digests, since, seed=None, threads=None):
    """Write the provenance of a stage's outputs.

    inputs : {name: path or list of paths}
    config : the stage's config section
    digests : {module: digest} of the code that the stage runs
    since : what `usage` gave when the stage began
    No host name, user name, date or absolute path is kept.
    """
    now = usage()
    write_json(
        path,
        {
            "stage": stage,
            "perrin": VERSION,
            "code": digests,
            "config": config,
            "seed": seed,
            "inputs": {name: _described(value) for name, value in inputs.items()},
            "packages": packages(),
            "machine": machine(threads),
            "wall_s": round(now["wall_s"] - since["wall_s"], 3),
            "cpu_s": round(now["cpu_s"] - since["cpu_s"], 3),
            "peak_memory_MB": round(peak_memory_MB(), 1),
        },
    )


def checksum(path):
    """{"bytes", "method", "checksum"} of a file.

    Below 50 MB "sha256" of the content. Above, "sha256 of size, first and last MiB": a movie of 100 GB is
    not read again for it, and a change in its middle that keeps size, head and tail is not seen.
    """
    path = Path(path)
    size = path.stat().st_size
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        if size < WHOLE_LIMIT:
            method = "sha256"
            while piece := file.read(PIECE):
                digest.update(piece)
        else:
            method = "sha256 of size, first and last MiB"
            digest.update(str(size).encode())
            digest.update(file.read(PIECE))
            file.seek(-PIECE, os.SEEK_END)
            digest.update(file.read(PIECE))
    return {"bytes": size, "method": method, "checksum": digest.hexdigest()}


def packages():
    """{name: version} of Python and the packages that compute; those not installed are left out."""
    versions = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


def machine(threads=None):
    """Facts of the machine that bear on numbers and times, none that name it."""
    return {
        "system": platform.system(),
        "architecture": platform.machine(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": threads,
        "memory_GB": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
    }


def peak_memory_MB():
    """Largest resident size of this process or of one of its children so far, in units of 10^6 bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return max(own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) * unit / 1e6


def _described(value):
    """Name and checksum of an input file, of each of a list, or of each file of a folder's listing."""
    if isinstance(value, (list, tuple)):
        return [_described(item) for item in value]
    path = Path(value)
    if path.is_dir():
        files = sorted(path.iterdir())
        listing = "".join(f"{file.name} {file.stat().st_size}\n" for file in files)
        digest = hashlib.sha256(listing.encode()).hexdigest()
        return {
            "name": path.name,
            "files": len(files),
            "method": "sha256 of names and sizes",
            "checksum": digest,
        }
    name = path.as_posix() if not path.is_absolute() else path.name
    return {"name": name, **checksum(path)}
