"""What a map says of each atom of a model: likeness to the simulated density, intensity, width and its directions.

Around each atom a Gaussian on a constant background is fitted to the map, over a ball of 0.75 atomic radii in which
neighbours weigh next to nothing:

    rho(r) = h exp(-(r - c)' U^-1 (r - c) / 2) + b,   U = u 1 (isotropic) or symmetric (anisotropic)

U holds the blur of the map and the width of the potential besides displacements: it is no B factor. Blur is common to
all atoms, so that differences between atoms of one map are differences of displacement. The published program fits
ln rho instead, without a background, over the same ball.
"""

import numpy as np
from scipy.ndimage import map_coordinates
from scipy.optimize import minimize_scalar

from perrin.atoms.density import published_b, simulate_density
from perrin.atoms.metals import nearest_distance

VALID_RADIUS = 0.6  # of the nearest distance, as in perrin.atoms.detect; 1.66 A for Pt, published 1.65 A
FIT_RADIUS = 0.75  # of half the nearest distance; published
WIDEST = 1.25  # square root of the largest accepted U, in fit radii; published
B_RANGE_A2 = 1.0, 40.0  # widths B that a simulated density may take
ROUNDS = 40
PAIRS = [(0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2)]
MAP_COLUMNS = {
    "validity": ("", "correlation of the map with the density of all atoms around this one; width fitted to the map"),
    "validity_authors": ("", "the same with the published width of the atoms in the density"),
    "halves_correlation": ("", "correlation of the two half maps with each other over the same ball"),
    "intensity": ("", "map at the atom's place, in the map's units"),
    "intensity_snr": ("", "the same over the standard deviation of the map's noise, from the half maps"),
    "intensity_mean_z": ("", "mean of the voxels above half of the atom's height, in standard deviations of the box"),
    "intensity_max_z": ("", "brightest of these voxels, in standard deviations of the whole box from its mean"),
    "half_height_voxels": ("", "voxels above half of the height, nearer the atom than half the nearest distance"),
    "half_height_diameter_A": ("A", "twice the largest distance of these voxels from the atom"),
    "blob_offset_A": ("A", "distance of the fitted Gaussian's centre from the atom"),
    "u_iso_A2": ("A^2", "variance along one axis of the isotropic Gaussian fitted to the map; holds the map's blur"),
    "u_iso_sigma_A2": ("A^2", "its standard error, scaled to what the half maps differ"),
    "u_iso_excess_A2": ("A^2", "the same less the median of the state's atoms: displacement beyond the common blur"),
    "u_major_A2": ("A^2", "largest variance of the anisotropic Gaussian; empty where none fits"),
    "u_middle_A2": ("A^2", "middle variance"),
    "u_minor_A2": ("A^2", "smallest variance"),
    "u_azimuth_deg": ("deg", "direction of the largest variance: angle in the x-y plane from x; 0 to 180"),
    "u_polar_deg": ("deg", "direction of the largest variance: angle from z, 0 to 180"),
    "u_minor_share": ("", "smallest over largest variance; 1 for an isotropic atom"),
    "u_middle_share": ("", "middle over largest variance"),
    "fit_correlation_isotropic": ("", "correlation of the isotropic Gaussian with the map up to half the nearest atom"),
    "fit_correlation_anisotropic": ("", "the same of the anisotropic Gaussian"),
}  # fmt: skip


def atoms_in_map(density, xyz_A, element, halves=None):
    """What a map says of each atom: a dict with the columns MAP_COLUMNS, and numbers of the whole.

    density : Map; xyz_A : (n, 3), angstrom from the box centre; element : chemical symbol
    halves : the two half Maps on the same voxels, or None: columns that need them are NaN
    returns {column: (n,)}, {"density_b_A2": width B of the atoms in the map (see perrin.atoms.density)}
    NaN stands where a Gaussian does not fit: no maximum near the atom, too few voxels, or wider than WIDEST fit radii.
    ValueError where the half maps have other voxels. Source: atoms_stats of the published program, and its supplement.
    """
    xyz = np.asarray(xyz_A, float).reshape(-1, 3)
    n, nearest = len(xyz), nearest_distance(element)
    if halves is not None and any(
        half.data.shape != density.data.shape or abs(half.pixel_A / density.pixel_A - 1) > 1e-4
        for half in halves
    ):
        raise ValueError("the half maps have other voxels than the map")
    out = {name: np.full(n, np.nan) for name in MAP_COLUMNS}
    if n == 0:
        return out, {"density_b_A2": np.nan}
    radius = VALID_RADIUS * nearest
    b_A2, out["validity"] = fitted_density(density, xyz, element, radius)
    out["validity_authors"] = validity(density, xyz, element, radius, published_b(density.pixel_A))
    out["intensity"] = values_at(density, xyz)
    values, offset, inside = ball(density, xyz, nearest / 2)
    out |= _voxels(density, values, offset, inside)
    near = ball(density, xyz, FIT_RADIUS * nearest / 2)
    round_, centre, formal = fit_gaussians(*near, False)
    U, centre_3, _ = fit_gaussians(*near, True)
    out["blob_offset_A"] = np.linalg.norm(centre, axis=1)
    out["u_iso_A2"] = round_[:, 0, 0]
    out["u_iso_excess_A2"] = round_[:, 0, 0] - _median(round_[:, 0, 0])
    out |= directions(U)
    out["fit_correlation_isotropic"] = _likeness(values, offset, inside, round_, centre)
    out["fit_correlation_anisotropic"] = _likeness(values, offset, inside, U, centre_3)
    if halves is not None:
        first, second = (ball(half, xyz, radius) for half in halves)
        out["halves_correlation"] = correlations(first[0], second[0], first[2])
        noise = ((first[0] - second[0]) / 2)[first[2]]
        spread = float(noise.std()) if len(noise) else np.nan
        out["intensity_snr"] = out["intensity"] / spread if spread > 0 else np.full(n, np.nan)
        apart = [
            fit_gaussians(*ball(half, xyz, FIT_RADIUS * nearest / 2), False)[0][:, 0, 0] for half in halves
        ]
        # the whole map is the mean of its halves: its error is that of half their difference
        pull = np.square((apart[0] - apart[1]) / 2 / formal)
        out["u_iso_sigma_A2"] = (
            formal * np.sqrt(np.nanmean(pull)) if np.isfinite(pull).any() else formal * np.nan
        )
    return out, {"density_b_A2": b_A2}


def values_at(density, xyz_A):
    """(n,) the map at points (n, 3) in angstrom from the box centre, by quintic splines; NaN outside the box."""
    side = density.data.shape[0]
    place = (np.asarray(xyz_A, float)[:, ::-1] / density.pixel_A + side // 2).T
    return map_coordinates(density.data.astype(np.float64), place, order=5, cval=np.nan)


def validity(density, xyz_A, element, radius_A, b_A2):
    """(n,) correlation of a map with the density of all atoms, of width b_A2, in a ball about each; NaN where empty."""
    simulated = simulate_density(xyz_A, element, density.data.shape[0], density.pixel_A, b_A2)
    values, _, inside = ball(density, xyz_A, radius_A)
    return correlations(ball(simulated, xyz_A, radius_A)[0], values, inside)


def fitted_density(density, xyz_A, element, radius_A):
    """The width B (square angstrom) of the atoms' density with which mean validity is largest, and (n,) validity."""

    def judge(b_A2):
        found = validity(density, xyz_A, element, radius_A, b_A2)
        return -np.nanmean(found) if np.isfinite(found).any() else 0.0

    found = minimize_scalar(judge, bounds=B_RANGE_A2, method="bounded", options={"xatol": 0.05})
    return float(found.x), validity(density, xyz_A, element, radius_A, found.x)


def ball(density, xyz_A, radius_A):
    """Voxels in the box not further from an atom than radius_A, padded to those m of the atom that has most.

    returns values (n, m), places from the atom (n, m, 3) in angstrom, x y z, and which of them count (n, m)
    """
    side, pixel = density.data.shape[0], density.pixel_A
    reach = int(np.ceil(radius_A / pixel)) + 1
    steps = np.stack(np.meshgrid(*[np.arange(-reach, reach + 1)] * 3, indexing="ij"), -1).reshape(-1, 3)
    place = np.asarray(xyz_A, float)[:, ::-1] / pixel + side // 2
    voxel = np.rint(place).astype(int)[:, None] + steps
    offset = (voxel - place[:, None])[..., ::-1] * pixel
    inside = ((voxel >= 0) & (voxel < side)).all(-1) & (np.square(offset).sum(-1) <= radius_A**2)
    first = np.argsort(~inside, axis=1, kind="stable")[:, : max(inside.sum(1).max(initial=0), 1)]
    inside = np.take_along_axis(inside, first, 1)
    z, y, x = np.take_along_axis(voxel, first[..., None], 1).clip(0, side - 1).transpose(2, 0, 1)
    return density.data[z, y, x].astype(np.float64), np.take_along_axis(offset, first[..., None], 1), inside


def fit_gaussians(values, offset_A, inside, anisotropic):
    """A Gaussian on a constant background for each atom, by damped least squares.

    values, offset_A, inside : as `ball` gives them
    returns U (n, 3, 3) square angstrom, centre (n, 3) angstrom from the atom, the standard error (n,) of U's mean
    diagonal for noise of one unit of the map in each voxel; NaN where there is no such Gaussian
    """
    n = len(values)
    shapes = PAIRS if anisotropic else [None]
    size = 5 + len(shapes)
    reach = np.sqrt(np.where(inside, np.square(offset_A).sum(-1), 0).max()) if n else 0.0
    top = np.where(inside, values, -np.inf).max(1, initial=-np.inf)
    low = np.where(inside, values, np.inf).min(1, initial=np.inf)
    enough = inside.sum(1) >= 2 * size
    p = np.zeros((n, size))  # height, background, centre, U^-1
    p[:, 0], p[:, 1] = np.where(enough, top - low, 1), np.where(enough, low, 0)
    p[:, 5 : 8 if anisotropic else 6] = 1 / max((reach / 3) ** 2, 1e-6)
    damping = np.full(n, 1e-2)
    residual, J = _gaussian(p, values, offset_A, inside, shapes)
    cost = np.square(residual).sum(1)
    done = ~enough
    for _ in range(ROUNDS):
        A = np.einsum("nmi,nmj->nij", J, J, optimize=True)
        gradient = np.einsum("nmi,nm->ni", J, residual)
        diagonal = np.einsum("nii->ni", A)
        A[:, range(size), range(size)] = (
            diagonal * (1 + damping[:, None]) + 1e-12 * diagonal.max(1)[:, None] + 1e-300
        )
        move = np.linalg.solve(A, gradient[..., None])[..., 0]
        new = np.where(done[:, None], p, p + move)
        fresh, fresh_J = _gaussian(new, values, offset_A, inside, shapes)
        better = np.square(fresh).sum(1)
        accept = np.isfinite(better) & (better <= cost) & ~done
        done = done | (accept & (cost - better <= 1e-9 * cost))
        p[accept], residual[accept], J[accept], cost[accept] = (
            new[accept],
            fresh[accept],
            fresh_J[accept],
            better[accept],
        )
        damping = np.where(accept, damping / 5, damping * 5).clip(1e-9, 1e9)
        if done.all():
            break
    precision = _precision(p, shapes)
    eigen = np.linalg.eigvalsh(precision)
    centre = p[:, 2:5]
    good = enough & (p[:, 0] > 0) & (eigen[:, 0] > 1 / (WIDEST * reach) ** 2) & np.isfinite(cost)
    good &= np.linalg.norm(centre, axis=1) < reach
    U = np.full((n, 3, 3), np.nan)
    U[good] = np.linalg.inv(precision[good])
    formal = np.full(n, np.nan)
    if good.any() and not anisotropic:
        A = np.einsum("nmi,nmj->nij", J[good], J[good], optimize=True)
        formal[good] = np.sqrt(np.linalg.pinv(A, hermitian=True)[:, 5, 5]) * U[good][:, 0, 0] ** 2
    return U, np.where(good[:, None], centre, np.nan), formal


def _precision(p, shapes):
    """(n, 3, 3) U^-1 from the parameters."""
    if shapes == [None]:
        return p[:, 5, None, None] * np.eye(3)
    out = np.empty((len(p), 3, 3))
    for at, (a, b) in enumerate(shapes):
        out[:, a, b] = out[:, b, a] = p[:, 5 + at]
    return out


def _gaussian(p, values, offset_A, inside, shapes):
    """Residuals (n, m) and derivatives (n, m, parameters), both 0 in voxels that do not count."""
    d = offset_A - p[:, None, 2:5]
    P = _precision(p, shapes)
    bent = np.einsum("nab,nmb->nma", P, d)
    with np.errstate(over="ignore"):
        g = np.exp(np.minimum(-0.5 * (bent * d).sum(-1), 50)) * inside
    J = np.empty((*values.shape, p.shape[1]))
    J[..., 0], J[..., 1] = g, inside
    J[..., 2:5] = (p[:, 0, None] * g)[..., None] * bent
    half = -0.5 * p[:, 0, None] * g
    for at, pair in enumerate(shapes):
        if pair is None:
            J[..., 5] = half * np.square(d).sum(-1)
        else:
            J[..., 5 + at] = half * d[..., pair[0]] * d[..., pair[1]] * (1 if pair[0] == pair[1] else 2)
    return (values - p[:, 0, None] * g - p[:, 1, None]) * inside, J


def directions(U):
    """The columns u_major_A2 to u_middle_share of variances U (n, 3, 3); NaN where U is."""
    known = np.isfinite(U).all((1, 2))
    eigen, axes = np.full((len(U), 3), np.nan), np.full((len(U), 3, 3), np.nan)
    eigen[known], axes[known] = np.linalg.eigh(U[known])
    major = axes[:, :, 2]
    flip = (major[:, 1] < 0) | ((major[:, 1] == 0) & (major[:, 0] < 0))
    major = np.where(flip[:, None], -major, major)
    return {
        "u_major_A2": eigen[:, 2],
        "u_middle_A2": eigen[:, 1],
        "u_minor_A2": eigen[:, 0],
        "u_azimuth_deg": np.degrees(np.arctan2(major[:, 1], major[:, 0])),
        "u_polar_deg": np.degrees(np.arccos(np.clip(major[:, 2], -1, 1))),
        "u_minor_share": eigen[:, 0] / eigen[:, 2],
        "u_middle_share": eigen[:, 1] / eigen[:, 2],
    }


def correlations(first, second, inside):
    """(n,) Pearson correlations of two (n, m) sets of values over the (n, m) entries that count; NaN where constant."""
    count = np.maximum(inside.sum(1), 1)[:, None]
    a = np.where(inside, first - (first * inside).sum(1)[:, None] / count, 0)
    b = np.where(inside, second - (second * inside).sum(1)[:, None] / count, 0)
    norm = np.sqrt(np.square(a).sum(1) * np.square(b).sum(1))
    return np.divide((a * b).sum(1), norm, out=np.full(len(a), np.nan), where=norm > 0)


def _likeness(values, offset_A, inside, U, centre_A):
    """Correlation of a fitted Gaussian with the map."""
    known = np.isfinite(U).all((1, 2))
    out = np.full(len(values), np.nan)
    d = offset_A[known] - centre_A[known, None]
    g = np.exp(-0.5 * np.einsum("nma,nab,nmb->nm", d, np.linalg.inv(U[known]), d, optimize=True))
    out[known] = correlations(g, values[known], inside[known])
    return out


def _voxels(density, values, offset_A, inside):
    """What the voxels above half of the atom's height say, as the published program's segments."""
    mean, spread = density.data.mean(dtype=np.float64), density.data.std(dtype=np.float64)
    top = np.where(inside, values, -np.inf).max(1, initial=-np.inf)
    bright = inside & (values > top[:, None] / 2) & (top[:, None] > 0)
    count = bright.sum(1)
    total = np.where(bright, values, 0).sum(1)
    average = np.divide(total, count, out=np.full(len(values), np.nan), where=count > 0)
    far = np.sqrt(np.where(bright, np.square(offset_A).sum(-1), 0).max(1, initial=0))
    scale = spread if spread > 0 else np.nan
    return {
        "intensity_mean_z": (average - mean) / scale,
        "intensity_max_z": (np.where(np.isfinite(top), top, np.nan) - mean) / scale,
        "half_height_voxels": count,
        "half_height_diameter_A": 2 * far,
    }


def _median(values):
    return np.nanmedian(values) if np.isfinite(values).any() else np.nan
