"""Strain of each atom against the bulk lattice: an unbiased local estimate with its error, and the published ones.

The default is a local-linear regression of positions on ideal sites. It reads a uniform strain exactly, at the surface
too, and noise does not turn into strain. The published Nadaraya-Watson field reads about half of a uniform
radial strain, the more the larger the particle, and reads noise as expansion; both its forms are here by
name, for comparison.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit
from scipy.spatial import cKDTree

from perrin.imaging import lattice
from perrin.states.lattice_fit import bulk_sites

WIDTHS_A = (1.5, 2.0, 2.5, 3.0, 4.0, 6.0)  # tried by leave-one-out cross-validation
REACH = 2.5  # widths; beyond, weights are below 0.05
COMPONENTS = [("xx", 0, 0), ("yy", 1, 1), ("zz", 2, 2), ("xy", 0, 1), ("yz", 1, 2), ("xz", 0, 2)]


@dataclass(frozen=True)
class Strain:
    """Small strain of each atom against the bulk lattice, dimensionless; NaN for atoms off the lattice.

    tensor, tensor_sigma : (n, 3, 3), along the crystal's axes
    radial, radial_sigma : (n,), along the line from the particle's centroid
    hydrostatic, shear : (n,), a third of the trace; von Mises' equivalent strain
    mean_radial, mean_radial_sigma : over the atoms on the lattice, the sigma from the positions' errors alone
    width_A : of the Gaussian weights; share : of the atoms that have a value
    """

    tensor: np.ndarray
    tensor_sigma: np.ndarray
    radial: np.ndarray
    radial_sigma: np.ndarray
    hydrostatic: np.ndarray
    shear: np.ndarray
    mean_radial: float
    mean_radial_sigma: float
    width_A: float


def local_strain(xyz, fit, covariance_A2=None, width_A=None):
    """Local-linear strain of every atom that lies on the fitted lattice. Returns Strain.

    xyz : (n, 3) angstrom; fit : LatticeFit; covariance_A2 : (n, 3, 3) errors of the positions, None or NaN: no sigmas
    width_A : Gaussian weights exp(-d^2 / 2 width^2) by the distance d of the ideal sites; None: chosen
        among WIDTHS_A by
        leave-one-out cross-validation of the displacements

    r_j - r_i = F (s_j - s_i) is solved by weighted least squares with a free translation, s being the
    sites of the bulk lattice in the fitted rotation; the strain is sym(F - 1), linear in the positions, so
    that errors propagate exactly and do not bias it (the Lagrangian form adds their variance). Weights
    depend on ideal sites only, never on measured positions.

    >>> strain = local_strain(1.01 * xyz, fit, width_A=2.0)
    >>> round(100 * float(strain.mean_radial), 3)
    1.0
    """
    n = len(xyz)
    use = np.flatnonzero(fit.on_lattice) if fit.fits else np.zeros(0, int)
    if len(use) < 13:
        return _unknown(n, width_A)
    ideal = bulk_sites(fit, fit.site[use])
    position = xyz[use]
    if width_A is None:
        width_A = choose_width(position, ideal)
    atom, other, weight = _weighted_pairs(ideal, width_A)
    coefficient, solid = _coefficients(ideal, atom, other, weight)
    m = len(use)
    # F[i] = sum over its pairs of position[other] outer coefficient
    gradient = _sums(atom, position[other][:, :, None] * coefficient[:, None, :], m)
    H = gradient - np.eye(3)
    H[~solid] = np.nan
    tensor_body = 0.5 * (H + H.transpose(0, 2, 1))
    turn = fit.rotation
    tensor = np.einsum("ax,iab,by->ixy", turn, tensor_body, turn)
    along, apart = _directions(xyz, position, fit)
    radial = np.einsum("ix,ixy,iy->i", along, tensor_body, along)
    radial = np.where(apart, radial, np.trace(tensor_body, axis1=1, axis2=2) / 3)

    covariance = np.full((m, 3, 3), np.nan) if covariance_A2 is None else covariance_A2[use]
    tensor_sigma = np.full((m, 3, 3), np.nan)
    # the strain along (p, q) is linear in the positions: sum of (p.r)(q.coefficient), symmetrised
    for _, x, y in COMPONENTS:
        p, q = turn[:, x], turn[:, y]
        lever = 0.5 * ((coefficient @ q)[:, None] * p + (coefficient @ p)[:, None] * q)
        tensor_sigma[:, x, y] = tensor_sigma[:, y, x] = _spread(atom, other, lever, covariance)
    lever = np.where(
        apart[atom][:, None],
        (coefficient * along[atom]).sum(1)[:, None] * along[atom],
        coefficient / 3,
    )
    radial_sigma = _spread(atom, other, lever, covariance)
    total = _sums(other, lever * solid[atom][:, None], m) / max(solid.sum(), 1)
    mean_sigma = float(np.sqrt(np.einsum("ix,ixy,iy->", total, covariance, total)))

    deviator = tensor - np.trace(tensor, axis1=1, axis2=2)[:, None, None] / 3 * np.eye(3)
    everywhere = lambda values: _scatter(values, use, n)  # noqa: E731
    return Strain(
        tensor=everywhere(tensor),
        tensor_sigma=everywhere(tensor_sigma),
        radial=everywhere(radial),
        radial_sigma=everywhere(radial_sigma),
        hydrostatic=everywhere(np.trace(tensor, axis1=1, axis2=2) / 3),
        shear=everywhere(np.sqrt(2 / 3 * (deviator**2).sum((1, 2)))),
        mean_radial=float(np.nanmean(radial)) if solid.any() else np.nan,
        mean_radial_sigma=mean_sigma,
        width_A=float(width_A),
    )


def choose_width(position, ideal, widths_A=WIDTHS_A):
    """The width whose local-linear field predicts left-out displacements best, angstrom.

    Widths that give more than 2e6 pairs of atoms are not tried.
    """
    errors, tried = [], []
    displacement = position - ideal
    n = len(ideal)
    for width in widths_A:
        if tried and n * min(n, 0.07 * (REACH * width) ** 3 * 4.19) > 2e6:
            break
        tried.append(width)
        atom, other, weight = _weighted_pairs(ideal, width)
        apart = atom != other  # the atom itself is left out
        atom, other, weight = atom[apart], other[apart], weight[apart]
        design = np.c_[np.ones(len(atom)), ideal[other] - ideal[atom]]
        left = design * weight[:, None]
        normal = _sums(atom, left[:, :, None] * design[:, None, :], n)
        normal += 1e-9 * np.trace(normal, axis1=1, axis2=2)[:, None, None] * np.eye(4) + 1e-30 * np.eye(4)
        right = _sums(atom, left[:, :, None] * displacement[other][:, None, :], n)
        predicted = np.linalg.solve(normal, right)[:, 0]
        errors.append(((predicted - displacement) ** 2).sum(1).mean())
    # the widest of those that are equal for all purposes: exact fields are fitted by every width
    errors = np.array(errors)
    return float(np.array(tried)[errors <= errors.min() * (1 + 1e-6) + 1e-10].max())


def published(xyz, fit, sigma_A=2.0):
    """(tensor (n, 3, 3), radial (n,)): the published formulas: Nadaraya-Watson field, differentiated analytically.

    u_i = r_i - bulk site; weights exp(-|r - r_i|^2 / 2 sigma^2) at measured positions; radial: u_r = |r_i
    - r_c| - |site_i - r_c|, differentiated along the radius. Biased: a uniform strain reads low, near
    surfaces by up to two thirds; noise reads as expansion. NaN where the lattice does not fit.

    >>> tensor, radial = published(1.01 * xyz, fit)
    >>> round(100 * float(radial.mean()), 1)
    0.5
    """
    n = len(xyz)
    tensor, radial = np.full((n, 3, 3), np.nan), np.full(n, np.nan)
    if not fit.fits:
        return tensor, radial
    use = np.flatnonzero(fit.on_lattice)
    r, site = xyz[use], bulk_sites(fit, fit.site[use])
    site = site + (r - site).mean(0)
    centre = xyz.mean(0)
    displacement = r - site
    length = np.linalg.norm(r - centre, axis=1)
    radial_displacement = length - np.linalg.norm(site - centre, axis=1)
    gradient, slope = _kernel_gradient(r, np.c_[displacement, radial_displacement], sigma_A)
    along = (r - centre) / np.maximum(length, 1e-9)[:, None]
    H = np.einsum("ax,iab,by->ixy", fit.rotation, gradient, fit.rotation)
    tensor[use] = 0.5 * (H + H.transpose(0, 2, 1))
    radial[use] = (slope * along).sum(1)
    return tensor, radial


def authors(xyz, a_fit_A, a_bulk_A, sigma_A=2.0):
    """(tensor (n, 3, 3), radial (n,)) as the authors' program does: finite steps, a surface rule, cubic
    box axes, fcc only.

    xyz : (n, 3), crystal axes along x, y, z; a_fit_A : (3,) fitted lattice constants; a_bulk_A : bulk
    constant (3.912 A for Pt there). Origin: the atom nearest the middle of the bounding box. Cartesian
    components: field at +- a/2 along the axis; where no ideal site lies within 2 A of the ideal place one
    lattice constant away, that side is replaced by the atom's own displacement and the step halved.
    Radial: field of |r| - |ideal| at +- 1 A along the radius, no surface rule. Where several atoms are equally near the
    middle, the mean over them (the program takes the first of its file).
    """
    a_fit = np.broadcast_to(np.asarray(a_fit_A, float), 3)
    off = np.linalg.norm(xyz - 0.5 * (xyz.min(0) + xyz.max(0)), axis=1)
    found = [_about(xyz, xyz[k], a_fit, a_bulk_A, sigma_A) for k in np.flatnonzero(off < off.min() + 1e-6)]
    return tuple(np.mean(parts, axis=0) for parts in zip(*found))


def _about(xyz, origin, a_fit, a_bulk_A, sigma_A):
    """The authors' strain with one atom as origin."""
    measured = xyz - origin
    ideal = np.round(2 * measured / a_fit) * a_bulk_A / 2
    displacement = measured - ideal
    length = np.linalg.norm(measured, axis=1)
    tree = cKDTree(ideal)
    gradient = np.zeros((len(xyz), 3, 3))  # d u_x / d axis
    for axis in range(3):
        step = np.zeros(3)
        step[axis] = 0.5 * a_fit[axis]
        sides, steps = [], []
        for sign in (1, -1):
            there = tree.query(ideal + 2 * sign * step)[0] <= 2.0
            value = _kernel_mean(measured, displacement, measured + sign * step, sigma_A)
            sides.append(np.where(there[:, None], value, displacement))
            steps.append(np.where(there, step[axis], 0.0))
        distance = steps[0] + steps[1]
        change = sides[0] - sides[1]
        gradient[:, :, axis] = np.divide(
            change, distance[:, None], out=np.zeros_like(change), where=distance[:, None] > 0
        )
    along = measured / np.maximum(length, 1e-9)[:, None]
    radial_displacement = (length - np.linalg.norm(ideal, axis=1))[:, None]
    high = _kernel_mean(measured, radial_displacement, measured + along, sigma_A)
    low = _kernel_mean(measured, radial_displacement, measured - along, sigma_A)
    radial = np.where(length > 1e-9, (high - low)[:, 0] / 2.0, 0.0)
    return 0.5 * (gradient + gradient.transpose(0, 2, 1)), radial


def mean_lattice_strain(fit, bulk_A):
    """(strain, sigma) of the fitted lattice constant against the bulk's, dimensionless."""
    return fit.a_A / bulk_A - 1, fit.a_sigma_A / bulk_A


def _weighted_pairs(ideal, width):
    """(atom, other, weight): all ordered pairs within REACH widths (two shells at least), each atom with itself too."""
    tree = cKDTree(ideal)
    nearest = tree.query(ideal, k=2)[0][:, 1].min()
    found = tree.query_pairs(max(REACH * width, 1.5 * nearest), output_type="ndarray")
    itself = np.arange(len(ideal))
    atom, other = np.r_[found[:, 0], found[:, 1], itself], np.r_[found[:, 1], found[:, 0], itself]
    return atom, other, np.exp(-0.5 * ((ideal[atom] - ideal[other]) ** 2).sum(1) / width**2)


def _coefficients(ideal, atom, other, weight):
    """(coefficient (pairs, 3), solid (n,)): gradient of a local-linear fit as a linear form of the values
    at `other`.
    """
    n = len(ideal)
    share = weight / np.bincount(atom, weight, n)[atom]
    offset = ideal[other] - _sums(atom, share[:, None] * ideal[other], n)[atom]
    moment = _sums(atom, share[:, None, None] * offset[:, :, None] * offset[:, None, :], n)
    value = np.linalg.eigvalsh(moment)
    solid = value[:, 0] > 1e-3 * value[:, 2]  # neighbours in one plane say nothing across it
    moment[~solid] = np.eye(3)
    return share[:, None] * np.einsum("pxy,py->px", np.linalg.inv(moment)[atom], offset), solid


def _sums(index, values, n):
    """(n, ...) sums of values (m, ...) by index."""
    flat = values.reshape(len(values), -1)
    return np.stack([np.bincount(index, column, n) for column in flat.T], 1).reshape(n, *values.shape[1:])


def _directions(xyz, position, fit):
    """Unit vectors from the centroid, and which atoms are far enough from it to have a direction."""
    offset = position - xyz.mean(0)
    length = np.linalg.norm(offset, axis=1)
    apart = length > 0.25 * lattice.nearest_distance(fit.system, fit.a_A)
    return offset / np.maximum(length, 1e-9)[:, None], apart


def _spread(atom, other, lever, covariance):
    """(n,) sigma of the sums over pairs of lever . position[other]."""
    variance = (lever * np.einsum("pxy,py->px", covariance[other], lever)).sum(1)
    return np.sqrt(np.bincount(atom, variance, len(covariance)))


def _scatter(values, use, n):
    out = np.full((n, *values.shape[1:]), np.nan)
    out[use] = values
    return out


def _unknown(n, width_A):
    nan, nan33 = np.full(n, np.nan), np.full((n, 3, 3), np.nan)
    width = np.nan if width_A is None else float(width_A)
    return Strain(nan33, nan33, nan, nan, nan, nan, np.nan, np.nan, width)


def _kernel_mean(points, values, targets, sigma):
    """Nadaraya-Watson means of values (n, m) at targets."""
    order = np.argsort(points[:, 0], kind="stable")
    first, last = _reached(points[order, 0], targets[:, 0], sigma)
    return _means(points[order], values[order], targets, first, last, sigma)


def _reached(sorted_x, x, sigma):
    """(first, last) of the points within six sigma along x of each target: what lies further weighs nothing."""
    return np.searchsorted(sorted_x, x - 6 * sigma), np.searchsorted(sorted_x, x + 6 * sigma, side="right")


@njit(cache=True)
def _means(points, values, targets, first, last, sigma):
    out = np.zeros((len(targets), values.shape[1]))
    for t in range(len(targets)):
        total = 0.0
        for i in range(first[t], last[t]):
            square = 0.0
            for x in range(3):
                square += (targets[t, x] - points[i, x]) ** 2
            if square < 36.0 * sigma * sigma:
                w = np.exp(-0.5 * square / (sigma * sigma))
                total += w
                for m in range(values.shape[1]):
                    out[t, m] += w * values[i, m]
        if total > 0:
            for m in range(values.shape[1]):
                out[t, m] /= total
    return out


def _kernel_gradient(points, values, sigma):
    """Gradient of the Nadaraya-Watson field of values (n, 4) at its own points: ((n, 3, 3), (n, 3))."""
    order = np.argsort(points[:, 0], kind="stable")
    first, last = _reached(points[order, 0], points[order, 0], sigma)
    gradient = np.empty((*values.shape, 3))
    gradient[order] = _gradient(points[order], values[order], first, last, sigma)
    return gradient[:, :3], gradient[:, 3]


@njit(cache=True)
def _gradient(points, values, first, last, sigma):
    n, m = values.shape
    out = np.zeros((n, m, 3))
    mean, moment = np.zeros(m), np.zeros((m, 3))
    offset = np.zeros(3)
    for t in range(n):
        total = 0.0
        offset[:] = 0.0
        mean[:] = 0.0
        moment[:] = 0.0
        for i in range(first[t], last[t]):
            square = 0.0
            for x in range(3):
                square += (points[i, x] - points[t, x]) ** 2
            if square < 36.0 * sigma * sigma:
                w = np.exp(-0.5 * square / (sigma * sigma))
                total += w
                for x in range(3):
                    offset[x] += w * (points[i, x] - points[t, x])
                for k in range(m):
                    mean[k] += w * values[i, k]
                    for x in range(3):
                        moment[k, x] += w * values[i, k] * (points[i, x] - points[t, x])
        # d/dr of sum w u / sum w, with dw/dr = w (r_i - r) / sigma^2
        for k in range(m):
            for x in range(3):
                out[t, k, x] = (moment[k, x] / total - mean[k] / total * offset[x] / total) / (sigma * sigma)
    return out
