"""One list of sites from the models of all windows: atoms that coincide are one, empty surface sites are added."""

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from perrin.atoms.proposals import empty_sites

SAME = 0.5  # of the nearest-neighbour distance: atoms of two windows nearer than this are one site
LEAST_SHARED = (
    0.5  # of the smaller model's atoms that must coincide well, or the window's body frame is another
)
WELL = 0.25  # of the nearest-neighbour distance; by chance a tenth of all atoms do


@dataclass(frozen=True)
class Union:
    """Sites of a trajectory.

    xyz_A : (windows, n, 3) place of every site in the body frame of each window
    member : (windows, n) int, the atom of that window's model, -1 where it has none
    atom : (n,) bool, an atom of some window (else an empty site)
    joined : (windows,) bool, false for windows without atoms, and where too few coincide with those before
    """

    xyz_A: np.ndarray
    member: np.ndarray
    atom: np.ndarray
    joined: np.ndarray


def nearest_distance(xyz_A):
    """Median distance of nearest neighbours, angstrom."""
    return float(np.median(cKDTree(xyz_A).query(xyz_A, k=2)[0][:, 1]))


def unite(models, lengths, least_neighbours=3):
    """Merge the models of windows, from the longest window outwards.

    models : list of (n_w, 3) in the windows' own body frames (they agree but for small rigid motions); empty
        arrays for failed windows
    lengths : frames of each window
    least_neighbours : atoms beside an empty site
    returns Union, or None where no window has two atoms
    """
    usable = [w for w in range(len(models)) if len(models[w]) > 1]
    if not usable:
        return None
    first = max(usable, key=lambda w: (lengths[w], -w))
    order = [first, *sorted((w for w in usable if w != first), key=lambda w: (abs(w - first), w))]
    nearest = nearest_distance(models[first])
    sites = np.array(models[first], float)
    member = np.full((len(models), len(sites)), -1)
    member[first] = np.arange(len(sites))
    motion = {first: (np.eye(3), np.zeros(3))}
    for w in order[1:]:
        R, t, site, own = dock(models[w], sites, SAME * nearest)
        well = np.linalg.norm(models[w][own] @ R.T + t - sites[site], axis=1) < WELL * nearest
        if well.sum() < max(3, LEAST_SHARED * min(len(models[w]), len(models[first]))):
            continue
        motion[w] = (R, t)
        member[w, site] = own
        new = np.setdiff1d(np.arange(len(models[w])), own)
        sites = np.concatenate([sites, models[w][new] @ R.T + t])
        more = np.full((len(models), len(new)), -1)
        more[w] = new
        member = np.concatenate([member, more], axis=1)
    atoms = len(sites)
    sites = np.concatenate([sites, empty_sites(sites, nearest, least_neighbours).reshape(-1, 3)])
    member = np.pad(member, ((0, 0), (0, len(sites) - atoms)), constant_values=-1)
    places = np.broadcast_to(sites, (len(models), *sites.shape)).copy()
    for w, (R, t) in motion.items():
        places[w] = (sites - t) @ R
        here = member[w] >= 0
        places[w, here] = models[w][member[w, here]]
    joined = np.array([w in motion for w in range(len(models))])
    return Union(places, member, np.arange(len(sites)) < atoms, joined)


def dock(xyz_A, reference_A, gate_A, turns=5):
    """The small rigid motion of xyz onto the reference, and the pairs that then coincide.

    returns R, t (docked = xyz R' + t), rows of the reference, rows of xyz: mutual nearest within the gate
    """
    R, t = np.eye(3), np.zeros(3)
    tree = cKDTree(reference_A)
    for _ in range(turns):
        reference, own = mutual_nearest(xyz_A @ R.T + t, reference_A, gate_A, tree)
        if len(own) < 3:
            break
        a, b = xyz_A[own].mean(0), reference_A[reference].mean(0)
        u, _, vt = np.linalg.svd((reference_A[reference] - b).T @ (xyz_A[own] - a))
        R = u @ np.diag([1, 1, np.sign(np.linalg.det(u @ vt))]) @ vt
        t = b - R @ a
    return R, t, *mutual_nearest(xyz_A @ R.T + t, reference_A, gate_A, tree)


def mutual_nearest(xyz_A, reference_A, gate_A, tree=None):
    """Rows of the reference and of xyz that are each other's nearest within the gate."""
    tree = cKDTree(reference_A) if tree is None else tree
    distance, there = tree.query(xyz_A)
    back = cKDTree(xyz_A).query(reference_A)[1]
    own = np.flatnonzero((back[there] == np.arange(len(xyz_A))) & (distance < gate_A))
    return there[own], own
