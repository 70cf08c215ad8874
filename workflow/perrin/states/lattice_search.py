"""The lattice found in atoms: orientations by the vectors between neighbours, sites from the middle outwards."""

import numpy as np
from scipy.optimize import minimize
from scipy.spatial.transform import Rotation

from perrin.imaging import lattice
from perrin.states.neighbours import both_ways, pairs

BASIS = {
    "fcc": np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]]),
    "bcc": np.array([[0, 0, 0], [0.5, 0.5, 0.5]]),
    "hcp": np.array([[0, 0, 0], [1 / 3, 2 / 3, 0.5]]),
}


def search(xyz, system, bulk_A, c_over_a, nearest, ideal):
    """The lattice that holds most atoms: (score, cell, origin) of the best orientation and atom to grow from, or None.

    xyz : (n, 3) angstrom; system, bulk_A, c_over_a : the lattice looked for; nearest : its nearest distance, angstrom
    ideal : (3, 3) its cell vectors as rows
    """
    best = None
    for rotation, scale in _orientations(xyz, system, bulk_A, c_over_a, nearest):
        for start in _starts(xyz):
            if best is not None and best[0] > 0.9 * len(xyz):
                break
            cell = scale * ideal @ rotation.T
            for coset in (
                BASIS["hcp"] if system == "hcp" else BASIS[system][:1]
            ):  # which sublattice the atom is on
                fit = _grow(xyz, cell, xyz[start] - coset @ cell, system, nearest)
                if fit is not None and (best is None or fit[0] > best[0]):
                    best = fit
        if best is not None and best[0] > 0.9 * len(xyz):
            break
    return best


def nearest_site(xyz, cell_A, origin_A, system):
    """(fraction, distance): the nearest lattice site of each point, in fractions of the cell, and how far it is."""
    relative = (np.asarray(xyz) - origin_A) @ np.linalg.inv(cell_A)
    best, distance = None, None
    for coset in BASIS[system]:
        candidate = np.round(relative - coset) + coset
        d = np.linalg.norm((relative - candidate) @ cell_A, axis=1)
        if best is None:
            best, distance = candidate, d
        else:
            nearer = d < distance - 1e-12
            best = np.where(nearer[:, None], candidate, best)
            distance = np.where(nearer, d, distance)
    return best, distance


def _orientations(xyz, system, bulk_A, c_over_a, nearest, keep=4, most=600):
    """Yield the best few (rotation, scale) by the Patterson sum of the vectors between near atoms."""
    reach = 1.7 * nearest
    near = both_ways(pairs(xyz, reach))
    if len(near) == 0:
        return
    centre = np.median(xyz, axis=0)
    vector = xyz[near[:, 1]] - xyz[near[:, 0]]
    order = np.argsort(np.linalg.norm(xyz[near[:, 0]] - centre, axis=1), kind="stable")[: 4 * most]
    vector = vector[order[:: max(1, len(order) // most)]]
    spots = lattice.reflections(system, bulk_A, 1.9 / nearest, *([c_over_a] if c_over_a else []))
    power = np.abs(spots.phase) ** 2

    def score(rotation, scale=1.0):
        # rotation (k, 3, 3); in chunks, so that memory stays small
        total = np.empty(len(rotation))
        for first in range(0, len(rotation), 100):
            G = np.einsum("kij,mj->kmi", rotation[first : first + 100], spots.G) / scale
            total[first : first + 100] = np.cos(2 * np.pi * (G @ vector.T)).mean(2) @ power
        return total

    grid = _rotation_grid(system)
    values = score(grid)
    chosen, found = np.argsort(-values, kind="stable"), []
    group = lattice.rotation_group(system)
    for index in chosen[:40]:
        # skip what is within 12 degrees of a better one
        if any(_angle(grid[index], other, group) < np.radians(12) for other in found):
            continue

        def loss(p, start=grid[index]):
            return -score((start @ Rotation.from_rotvec(p[:3]).as_matrix())[None], np.exp(p[3]))[0]

        best = minimize(loss, np.zeros(4), method="BFGS", options={"gtol": 1e-4})
        rotation = grid[index] @ Rotation.from_rotvec(best.x[:3]).as_matrix()
        found.append(rotation)
        yield rotation, float(np.exp(np.clip(best.x[3], -0.1, 0.1)))
        if len(found) == keep:
            break


def _rotation_grid(system, spacing_deg=8.0):
    """(k, 3, 3) rotations no further than about half the spacing from any orientation of a cubic or hcp lattice."""
    reach = np.radians({"hcp": 105.0}.get(system, 64.0))
    spacing = np.radians(spacing_deg)
    axis = np.arange(-int(reach / spacing) - 1, int(reach / spacing) + 2) * spacing
    vector = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(-1, 3)
    return Rotation.from_rotvec(vector[np.linalg.norm(vector, axis=1) < reach]).as_matrix()


def _angle(first, second, group):
    """Smallest angle between two orientations of a lattice, radians."""
    turn = np.einsum("ij,gjk,lk->gil", first, group, second)
    return np.arccos(np.clip((np.trace(turn, axis1=1, axis2=2).max() - 1) / 2, -1, 1))


def _starts(xyz, count=3):
    """Atoms to grow from: the one nearest the middle, then near ones apart from each other."""
    middle = np.argsort(np.linalg.norm(xyz - xyz.mean(0), axis=1), kind="stable")
    chosen = [middle[0]]
    for index in middle[: max(20, len(xyz) // 4)]:
        if np.linalg.norm(xyz[chosen] - xyz[index], axis=1).min() > 4.0:
            chosen.append(index)
        if len(chosen) == count:
            break
    return chosen


def _grow(xyz, cell, origin, system, nearest):
    """Least squares from an atom outwards, then to a fixed point. (score, cell, origin) or None."""
    distance = np.linalg.norm(xyz - origin, axis=1)
    reach, last = 1.8 * nearest, distance.max()
    while True:
        inside = distance <= reach
        for _ in range(3):
            step = _step(xyz[inside], cell, origin, system, 0.35 * nearest)
            if step is None:
                return None
            cell, origin = step
        if reach >= last:
            break
        reach = min(1.35 * reach, last)
    previous = None
    for _ in range(60):
        site, off, use = assign(xyz, cell, origin, system, nearest)
        step = solve(xyz[use], site[use])
        if step is None:
            return None
        key = np.round(site * 6).astype(np.int64), use
        if (
            previous is not None
            and np.array_equal(previous[0], key[0])
            and np.array_equal(previous[1], key[1])
        ):
            break
        previous = key
        cell, origin = step
    stretch = np.cbrt(abs(np.linalg.det(cell)))
    if not 0.8 < stretch / np.cbrt(abs(np.linalg.det(_reference(system, nearest)))) < 1.25:
        return None
    # atoms that lie near their own sites count fully, those at the limit not at all
    return float((1 - (off[use] / (0.35 * nearest)) ** 2).clip(0).sum()), cell, origin


def _reference(system, nearest):
    a = nearest / lattice.nearest_distance(system, 1.0)
    return lattice.cell(system, a)


def assign(xyz, cell, origin, system, nearest):
    """(site, distance, use): the nearest sites, and which atoms to trust: nearest of all to its site, not trimmed."""
    site, off = nearest_site(xyz, cell, origin, system)
    typical = (
        1.4826 * np.median(off) / 1.538 if len(off) else 0.0
    )  # of one axis: median of a 3D Gaussian's radius
    limit = min(0.35 * nearest, max(4.5 * typical, 0.1 * nearest))
    order = np.lexsort((off, *site.T.round(6)))
    ordered = site[order].round(6)
    first = np.ones(len(site), bool)
    first[1:] = np.any(ordered[1:] != ordered[:-1], axis=1)
    owner = np.zeros(len(site), bool)
    owner[order[first]] = True
    return site, off, owner & (off <= limit)


def _step(xyz, cell, origin, system, limit):
    site, off = nearest_site(xyz, cell, origin, system)
    use = off < limit
    return solve(xyz[use], site[use])


def solve(xyz, site):
    """Least squares of r = origin + site @ cell. (cell, origin), or None where the sites do not span space."""
    if len(xyz) < 5:
        return None
    design = np.c_[np.ones(len(site)), site]
    solution, _, rank, _ = np.linalg.lstsq(design, xyz, rcond=1e-6)
    return (solution[1:], solution[0]) if rank == 4 and np.linalg.det(solution[1:]) > 1e-3 else None
