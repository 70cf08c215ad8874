"""Sites of the fitted lattice that no atom holds."""

import numpy as np
from scipy.spatial import cKDTree

from perrin.imaging import lattice
from perrin.states.lattice_fit import lattice_sites
from perrin.states.lattice_search import BASIS, nearest_site
from perrin.states.neighbours import shell_midpoint

CROWDED = {
    "fcc": 8,
    "bcc": 6,
    "hcp": 8,
}  # neighbours that make an empty site a vacancy, not a place at the surface


def empty_sites(fit, xyz, min_neighbours):
    """(m, 3) fractions: sites of the fitted lattice that no atom holds, with at least min_neighbours atoms around.

    With 8 of 12 neighbours these are vacancies inside an fcc crystal; with 3, also the places of adatoms.
    """
    if not fit.fits:
        return np.zeros((0, 3))
    held = fit.site[fit.on_lattice]
    # vectors from a site to its first shell; in hcp the two sublattices see different ones
    around = (
        lattice.sites(fit.system, 1.0, 1.2 * lattice.nearest_distance(fit.system, 1.0))
        if fit.system != "hcp"
        else None
    )
    if around is None:
        around = np.r_[BASIS["hcp"], -BASIS["hcp"]]
        steps = np.stack(np.meshgrid(*[[-1, 0, 1]] * 3, indexing="ij"), -1).reshape(-1, 1, 3)
        around = (steps + around).reshape(-1, 3)
    around = around[np.linalg.norm(around, axis=1) > 1e-6]
    candidate = np.unique((held[:, None] + around[None]).reshape(-1, 3).round(6), axis=0)
    point = lattice_sites(fit, candidate)
    real = nearest_site(point, fit.cell_A, fit.origin_A, fit.system)[1] < 1e-3
    nearest = lattice.nearest_distance(fit.system, fit.a_A)
    tree = cKDTree(xyz)
    free = tree.query(point)[0] > 0.5 * nearest
    candidate, point = candidate[real & free], point[real & free]
    # in bcc the second shell is only 1.15 times as far as the first
    reach = min(1.2 * nearest, shell_midpoint(fit.system, fit.a_A))
    crowd = np.array([len(c) for c in tree.query_ball_point(point, reach)], dtype=int)
    return candidate[crowd >= min_neighbours]


def vacancies(xyz, fit):
    """(m, 3) empty sites, fractions of the cell, with at least two thirds of their neighbours present.

    >>> holed = np.delete(xyz, np.linalg.norm(xyz, axis=1).argmin(), axis=0)
    >>> len(vacancies(holed, fit_lattice(holed, "fcc", a)))
    1
    """
    return empty_sites(fit, xyz, CROWDED[fit.system])
