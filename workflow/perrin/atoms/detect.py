"""Atoms found in a map without a human (as published, with its slips mended).

The map is correlated with one simulated atom. Candidate thresholds come from Otsu's and 20 classes of the voxels above
it; each is judged by the correlation of the map with the density simulated at the centres that it gives.
Segments that hold several peaks are split along the valleys between them, small ones go, and an atom sits at
the centre of a Gaussian ball fitted to the map, or at the intensity-weighted centre of its segment (published).
"""

import logging

import numpy as np
from scipy.spatial import cKDTree

from perrin.atoms import segment3d
from perrin.atoms.ball_fit import fit_balls
from perrin.atoms.density import simulate_density
from perrin.atoms.metals import nearest_distance
from perrin.files.errors import InputError
from perrin.files.records import Atoms, Map
from perrin.maps.mask import soft_sphere

log = logging.getLogger("perrin")

SEARCHES = ("exhaustive", "bisection")
CENTRES = ("gaussian", "centroid")
SCORES = ("density", "correlation")
CLOSEST = 0.7
LEAST_VOXELS = 3
VALID_RADIUS = 0.6  # of the nearest distance; 1.66 A for Pt, where the published sphere has 1.65 A


def detect_atoms(
    density, element, lattice_A=None, mask_radius_A=None, search="exhaustive", score="density", centre="gaussian",
    b_A2=None, shortest_A=1.0, least_voxels=LEAST_VOXELS, closest=CLOSEST,
):  # fmt: skip
    """The atoms of a map.

    density : Map, atoms positive; element : chemical symbol
    lattice_A : lattice constant, None: of the bulk; sets how close two atoms may be
    mask_radius_A : soft sphere about the box centre; None: what fits the box
    search : "exhaustive", all candidate thresholds; "bisection", the published program's search, which can miss
        the best
    score : the simulated density is compared with the map ("density", the text) or with the template correlation
        ("correlation", the program)
    centre : "gaussian" or "centroid" (published)
    b_A2 : width of a simulated atom, see `simulate_density`
    shortest_A : low-pass of the template correlation, angstrom
    least_voxels : smaller segments are no atoms
    closest : no two atoms are nearer than this share of the nearest distance
    returns Atoms; extra: validity (correlation of map and simulation around the atom), height (of the ball, units
        of the map), width_A (its standard deviation), voxels, radius_A (largest distance from the centre to a voxel)
    """
    for value, known, what in (
        (search, SEARCHES, "search"),
        (score, SCORES, "score"),
        (centre, CENTRES, "centre"),
    ):
        if value not in known:
            raise InputError(f"detect_atoms has no {what} {value!r}: {' or '.join(known)}")
    data = np.asarray(density.data, np.float32)
    n, pixel = data.shape[0], density.pixel_A
    if data.shape != (n, n, n) or not np.isfinite(data).all():
        raise InputError(f"atoms are looked for in a cubic map of finite numbers; this one is {data.shape}")
    radius = n / 2 * pixel if mask_radius_A is None else mask_radius_A
    mask = soft_sphere(n, pixel, radius)
    data = data * mask
    masked = Map(data, pixel)
    nearest = nearest_distance(element, lattice_A)
    correlation = segment3d.template_correlation(masked, element, b_A2, shortest_A) * (mask > 0)
    peaks = segment3d.separated_peaks(correlation, pixel, closest * nearest)
    thresholds = segment3d.candidate_thresholds(correlation)
    if len(thresholds) == 0 or len(peaks) == 0:
        return _as_atoms(np.zeros((0, 3)), element, {})
    basins = segment3d.split_segments(correlation, thresholds[0], peaks)
    judged = data if score == "density" else correlation
    inside = mask > 0.5 if score == "density" else np.ones(mask.shape, bool)

    def judge(index):
        above = np.where(correlation > thresholds[index], basins, 0)
        labels, voxels = segment3d.relabelled(above, least_voxels)
        if len(voxels) == 0:
            return -1.0
        found = _angstrom(segment3d.centroids(data, labels, voxels), n, pixel)
        return _correlation(simulate_density(found, element, n, pixel, b_A2).data[inside], judged[inside])

    best, value = (
        bisection(judge, len(thresholds)) if search == "bisection" else best_of_all(judge, len(thresholds))
    )
    labels = segment3d.split_segments(correlation, thresholds[best], peaks)
    labels, voxels = segment3d.relabelled(labels, least_voxels)
    middle = segment3d.centroids(data, labels, voxels)
    height, fitted, width = fit_balls(data, middle, nearest / pixel)
    if centre == "gaussian":
        where = np.nonzero(labels)
        middle = segment3d.inside_segments(fitted, labels, where, labels[where] - 1)
    xyz = _angstrom(middle, n, pixel)
    extra = {
        "validity": validity(masked, xyz, element, VALID_RADIUS * nearest, b_A2),
        "height": height,
        "width_A": width * pixel,
        "voxels": voxels,
        "radius_A": segment3d.segment_radii(middle, labels, pixel),
    }
    atoms = _apart(_as_atoms(xyz, element, extra), closest * nearest)
    log.info(
        "%d atoms above threshold %d of %d, correlation with their density %.3f, mean validity %.3f",
        len(atoms), best + 1, len(thresholds), value, float(np.mean(atoms.extra["validity"])) if len(atoms) else 0,
    )  # fmt: skip
    return atoms


def validity(density, xyz_A, element, radius_A, b_A2=None):
    """(n,) correlation of the map with the density of all atoms, over a ball about each atom's nearest voxel."""
    n, pixel = density.data.shape[0], density.pixel_A
    simulated = simulate_density(xyz_A, element, n, pixel, b_A2).data
    reach = int(np.ceil(radius_A / pixel))
    steps = np.stack(np.meshgrid(*[np.arange(-reach, reach + 1)] * 3, indexing="ij"), -1).reshape(-1, 3)
    steps = steps[np.sum(steps**2, 1) * pixel**2 <= radius_A**2]
    out = np.zeros(len(xyz_A))
    for j, place in enumerate(np.asarray(xyz_A)[:, ::-1] / pixel + n // 2):
        voxels = np.rint(place).astype(int) + steps
        voxels = voxels[((voxels >= 0) & (voxels < n)).all(1)]
        at = tuple(voxels.T)
        out[j] = _correlation(simulated[at], density.data[at])
    return out


def _correlation(a, b):
    a = a - a.mean(dtype=np.float64)
    b = b - b.mean(dtype=np.float64)
    norm = np.sqrt(np.dot(a, a) * np.dot(b, b))
    return float(np.dot(a, b) / norm) if norm > 0 else 0.0


def best_of_all(judge, count):
    """(index, value) of the best of judge(0), ..., judge(count - 1)."""
    values = [judge(index) for index in range(count)]
    return int(np.argmax(values)), max(values)


def bisection(judge, count):
    """The published program's search: up if the middle beats the best so far, else down."""
    best, value, low, high = 0, judge(0), 0, count - 1
    while low <= high:
        middle = (low + high) // 2
        now = judge(middle)
        if now > value:
            best, value, low = middle, now, middle + 1
        else:
            high = middle - 1
    return best, value


def _angstrom(voxels, n, pixel_A):
    """Voxels (z, y, x) to (x, y, z) angstrom from the box centre."""
    return (voxels[:, ::-1] - n // 2) * pixel_A


def _apart(atoms, least_A):
    """The atoms without those that ended nearer than least_A to one of higher validity."""
    if len(atoms) < 2:
        return atoms
    order = np.argsort(-atoms.extra["validity"], kind="stable")
    near = cKDTree(atoms.xyz_A).query_ball_point(atoms.xyz_A, least_A)
    stay = np.ones(len(atoms), bool)
    for j in order:
        if stay[j]:
            stay[[k for k in near[j] if k != j]] = False
    return atoms.take(np.flatnonzero(stay))


def _as_atoms(xyz, element, extra):
    n = len(xyz)
    names = ("validity", "height", "width_A", "voxels", "radius_A")
    extra = {name: np.asarray(extra.get(name, np.zeros(0))) for name in names}
    return Atoms(np.asarray(xyz, float), np.ones(n), np.full((n, 3, 3), np.nan), np.ones(n), element, extra)
