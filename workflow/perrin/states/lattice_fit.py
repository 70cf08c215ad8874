"""The crystal lattice that fits the atoms best, with its errors, and whether it fits at all."""

from dataclasses import dataclass, replace

import numpy as np

from perrin.imaging import lattice
from perrin.states.frame import intrinsic_order, principal_frame
from perrin.states.lattice_search import BASIS, assign, search, solve

MIN_ATOMS = 13  # a centre and its neighbours: fewer atoms fit lattices of any orientation


@dataclass(frozen=True)
class LatticeFit:
    """A fitted lattice: r = origin + cell.T @ site, sites being points of `system` in fractions of the cell.

    status : "fits", "does not fit" or "too few atoms"; why : one sentence
    cell_A : (3, 3) fitted cell vectors as rows, in the body frame; of the equivalent choices, nearest the body's axes
    bulk_A : (3, 3) cell vectors of the bulk lattice turned by `rotation`
    rotation : (3, 3) proper rotation from the ideal cell's axes to the body frame (polar part of the deformation)
    stretch : (3, 3) symmetric right stretch U in the crystal's axes, deformation = rotation @ U
    origin_A : (3,)
    site : (n, 3) fractions of the cell, for every atom its nearest site
    on_lattice : (n,) bool: nearest its site of all atoms, and not trimmed
    residual_A : (n, 3) position minus site
    rms_A : of the residuals of the atoms on the lattice
    share : on_lattice's mean; duplicates : sites that two atoms claim
    length_A, length_sigma_A : (3,) cell edges and their standard errors
    angle_deg, angle_sigma_deg : (3,) alpha, beta, gamma
    a_A, a_sigma_A : lattice constant from the cell's volume, and its standard error
    """

    system: str
    status: str
    why: str
    cell_A: np.ndarray
    bulk_A: np.ndarray
    rotation: np.ndarray
    stretch: np.ndarray
    origin_A: np.ndarray
    site: np.ndarray
    on_lattice: np.ndarray
    residual_A: np.ndarray
    rms_A: float
    share: float
    duplicates: int
    length_A: np.ndarray
    length_sigma_A: np.ndarray
    angle_deg: np.ndarray
    angle_sigma_deg: np.ndarray
    a_A: float
    a_sigma_A: float

    @property
    def fits(self):
        return self.status == "fits"


def fit_lattice(xyz, system, bulk_A, c_over_a=None, min_share=0.8, max_rms=0.15):
    """Fit a lattice to atoms, in any orientation. Returns a LatticeFit; never raises for strange atoms.

    xyz : (n, 3) angstrom
    system : "fcc", "bcc" or "hcp"; bulk_A : bulk lattice constant; c_over_a : hcp only
    min_share, max_rms : the lattice "fits" where at least this share of atoms lies on sites of their own, with a root
        mean square residual of at most max_rms nearest-neighbour distances

    The orientation and scale come from the vectors between neighbours (their Patterson sum over the low reflections),
    searched over all of orientation space. Then assignment to the nearest site of the lattice (parity enforced by
    construction: only sites exist) alternates with least squares, from the middle of the particle outwards, so that a
    wrong scale is mended before far atoms are assigned; atoms far from their sites are trimmed. Standard errors
    take residuals as independent; strain fields are not, so they are lower bounds.

    >>> fit = fit_lattice(1.01 * xyz, "fcc", a)
    >>> fit.status, round(float(fit.a_A / a), 4)
    ('fits', 1.01)
    """
    xyz = np.asarray(xyz, float)
    nearest = lattice.nearest_distance(system, bulk_A)
    ideal = lattice.cell(system, bulk_A, *([c_over_a] if c_over_a else []))
    if len(xyz) < MIN_ATOMS:
        return _nothing(xyz, system, ideal, f"{len(xyz)} atoms; at least {MIN_ATOMS} are needed")
    # along the particle's own axes and in an order of its own: the same result however it lies
    axes, middle = principal_frame(xyz), xyz.mean(0)
    order = intrinsic_order(xyz, axes)
    turned = ((xyz - middle) @ axes.T)[order]
    best = search(turned.round(8) + 0.0, system, bulk_A, c_over_a, nearest, ideal)
    if best is None:
        return _nothing(xyz, system, ideal, "no orientation of the lattice holds enough atoms")
    fit = _describe(turned, best, system, ideal, nearest, min_share, max_rms, axes)
    place = np.argsort(order, kind="stable")
    return replace(
        fit,
        cell_A=fit.cell_A @ axes,
        bulk_A=fit.bulk_A @ axes,
        rotation=axes.T @ fit.rotation,
        origin_A=fit.origin_A @ axes + middle,
        site=fit.site[place],
        on_lattice=fit.on_lattice[place],
        residual_A=fit.residual_A[place] @ axes,
    )


def lattice_sites(fit, fractions):
    """(m, 3) positions of fitted sites given in fractions of the cell, angstrom."""
    return fit.origin_A + np.asarray(fractions) @ fit.cell_A


def bulk_sites(fit, fractions):
    """(m, 3) positions of the same sites in the bulk lattice turned as the fitted one, about the same origin."""
    return fit.origin_A + np.asarray(fractions) @ fit.bulk_A


def _describe(xyz, best, system, ideal, nearest, min_share, max_rms, body):
    """A LatticeFit of the fitted cell, in the equivalent choice nearest the body's axes (columns of `body`)."""
    _, cell, origin = best
    group = lattice.rotation_group(system)
    deformation = cell.T @ np.linalg.inv(ideal.T)  # column vectors: r = F r_ideal
    turns = np.einsum("ij,gjk->gik", body.T @ _polar(deformation)[0], group)
    # to 1e-9, so that ties between equivalent choices do not hang on the last bit
    turn = group[np.argmax(np.trace(turns, axis1=1, axis2=2).round(9))]
    deformation = deformation @ turn
    cell = ideal @ deformation.T
    rounded = xyz.round(8) + 0.0  # sites that two atoms claim alike must not hang on the last bit
    # half of the rotations of hcp exchange its two sublattices
    origins = [origin - coset @ cell for coset in BASIS["hcp"]] if system == "hcp" else [origin]
    origin = max(origins, key=lambda point: assign(rounded, cell, point, system, nearest)[2].sum())
    site, off, use = assign(rounded, cell, origin, system, nearest)
    solved = solve(xyz[use], site[use])
    if solved is not None:
        cell, origin = solved
    rotation, stretch = _polar(cell.T @ np.linalg.inv(ideal.T))
    residual = xyz - origin - site @ cell
    rms = float(np.sqrt((residual[use] ** 2).sum(1).mean())) if use.any() else np.nan
    share = float(use.mean())
    duplicates = len(site) - len(np.unique(site.round(6), axis=0))

    design = np.c_[np.ones(use.sum()), site[use]]
    freedom = max(use.sum() - 4, 1)
    variance = (residual[use] ** 2).sum() / (3 * freedom)
    scatter = (
        variance * np.linalg.inv(design.T @ design)[1:, 1:]
    )  # of the rows of the cell, the same for x, y, z
    length = np.linalg.norm(cell, axis=1)
    inverse = np.linalg.inv(cell)
    volume_gradient = inverse.T / 3  # d ln a / d cell
    a_bulk = np.linalg.norm(ideal[0])
    a = a_bulk * np.cbrt(np.linalg.det(cell) / np.linalg.det(ideal))
    a_sigma = a * np.sqrt(np.einsum("kx,kl,lx->", volume_gradient, scatter, volume_gradient))
    angle, angle_sigma = _angles(cell, scatter)
    reasons = []
    if share < min_share:
        reasons.append(f"only {100 * share:.0f} % of the atoms lie on sites of one {system} lattice")
    if not rms <= max_rms * nearest:
        reasons.append(f"they lie {rms:.2f} A (rms) off their sites")
    why = (
        "; ".join(reasons)
        or f"{100 * share:.0f} % of the atoms lie on sites of one {system} lattice, {rms:.3f} A rms"
    )
    return LatticeFit(
        system=system,
        status="does not fit" if reasons else "fits",
        why=why,
        cell_A=cell,
        bulk_A=ideal @ rotation.T,
        rotation=rotation,
        stretch=stretch,
        origin_A=origin,
        site=site,
        on_lattice=use,
        residual_A=residual,
        rms_A=rms,
        share=share,
        duplicates=duplicates,
        length_A=length,
        length_sigma_A=np.sqrt(np.diag(scatter)),
        angle_deg=angle,
        angle_sigma_deg=angle_sigma,
        a_A=float(a),
        a_sigma_A=float(a_sigma),
    )


def _polar(deformation):
    """(R, U) with deformation = R U, R a proper rotation, U symmetric positive."""
    u, s, vt = np.linalg.svd(deformation)
    sign = np.diag([1, 1, np.sign(np.linalg.det(u @ vt))])
    return u @ sign @ vt, vt.T @ np.diag(s) @ vt


def _angles(cell, scatter):
    """(alpha, beta, gamma) in degrees with standard errors by linear propagation."""
    length = np.linalg.norm(cell, axis=1)
    unit = cell / length[:, None]
    angle, sigma = np.empty(3), np.empty(3)
    for k in range(3):
        i, j = (k + 1) % 3, (k + 2) % 3
        cosine = unit[i] @ unit[j]
        sine = np.sqrt(max(1 - cosine**2, 1e-12))
        gradient = np.zeros((3, 3))
        gradient[i] = -(unit[j] - cosine * unit[i]) / (length[i] * sine)
        gradient[j] = -(unit[i] - cosine * unit[j]) / (length[j] * sine)
        angle[k] = np.degrees(np.arccos(np.clip(cosine, -1, 1)))
        sigma[k] = np.degrees(np.sqrt(np.einsum("kx,kl,lx->", gradient, scatter, gradient)))
    return angle, sigma


def _nothing(xyz, system, ideal, why):
    """The LatticeFit of atoms that no lattice fits at all."""
    nan3, n = np.full(3, np.nan), len(xyz)
    return LatticeFit(
        system=system,
        status="too few atoms" if n < MIN_ATOMS else "does not fit",
        why=why,
        cell_A=np.full((3, 3), np.nan),
        bulk_A=ideal,
        rotation=np.eye(3),
        stretch=np.full((3, 3), np.nan),
        origin_A=nan3,
        site=np.full((n, 3), np.nan),
        on_lattice=np.zeros(n, bool),
        residual_A=np.full((n, 3), np.nan),
        rms_A=np.nan,
        share=0.0,
        duplicates=0,
        length_A=nan3,
        length_sigma_A=nan3,
        angle_deg=nan3,
        angle_sigma_deg=nan3,
        a_A=np.nan,
        a_sigma_A=np.nan,
    )
