"""Everything that one model says: a table of its atoms, numbers of the state with intervals, the depth profile.

Usable without the pipeline, on any coordinates:

    atoms = Atoms(xyz_A, np.ones(n), np.full((n, 3, 3), np.nan), np.ones(n), "Pt")
    per_atom, state, depth, fit = describe(atoms, element("Pt"))
"""

import numpy as np

from perrin.files.errors import InputError
from perrin.imaging import lattice
from perrin.states import bootstrap, coordination, crystallinity, depth_profile, order, strain, surface
from perrin.states.frame import crystal_frame, intrinsic_order, principal_frame
from perrin.states.lattice_fit import MIN_ATOMS, fit_lattice
from perrin.states.neighbours import FIRST_SHELL_ATOMS, nearest_distances
from perrin.states.vacancies import vacancies

STRAIN_METHODS = ("local", "published", "authors")
MOST_PUBLISHED = 30000  # atoms; the published kernels go over all pairs
CRYSTALLINITY_METHODS = ("coherence", "ks_shells", "ks_distances")


def describe(
    atoms,
    metal,
    cn_cutoff="fitted",
    lattice_source="bulk",
    strain_method="local",
    strain_width_A=2.0,
    published_width_A=2.0,
    depth_method="plateau",
    depth_level=0.95,
    crystallinity_method="coherence",
    min_lattice_share=0.8,
    interval_level=0.95,
    draws=200,
    seed=0,
):
    """(per_atom, state, depth, fit) of a model.

    atoms : perrin.files.records.Atoms; metal : perrin.files.elements.Element
    per_atom : {column: (n,)}; state : {name: number or text}, headline numbers with _low and _high; depth
        : {column: (k,)}
    fit : LatticeFit

    Where the errors of the positions are unknown, the scatter about the fitted lattice stands for them, an upper
    bound. Intervals hold errors of the positions and of the atoms' existence; that of the penetration depth also the
    sampling of the surface by few atoms. An error of the pixel size is in none of them.
    """
    xyz, n = atoms.xyz_A, len(atoms)
    if not np.isfinite(xyz).all():
        atom = int(np.flatnonzero(~np.isfinite(xyz).all(1))[0]) + 1
        raise InputError(f"atom {atom} of {n} has no finite position; leave it out of the model")
    a_bulk = (
        metal.authors_lattice_A
        if lattice_source == "authors" and metal.authors_lattice_A
        else metal.lattice_A
    )
    nearest = lattice.nearest_distance(metal.system, a_bulk)
    fit = fit_lattice(xyz, metal.system, a_bulk, metal.c_over_a, min_share=min_lattice_share)
    covariance, source = _errors(atoms, fit)
    cut = coordination.cutoff(xyz, metal.system, a_bulk, cn_cutoff, fit.a_A if fit.fits else None)

    cn = coordination.coordination_numbers(xyz, cut)
    cn_mean, cn_sigma = coordination.expected(xyz, covariance, cut)
    depth_A = surface.depths(xyz, nearest)
    kind = order.common_neighbours(xyz, cut)
    structure, structure_why = order.structure(xyz, cut, fit, kind)
    q4, w4, mean_q4, mean_w4, _ = order.bond_order(xyz, cut, 4)
    q6, w6, mean_q6, mean_w6, similar = order.bond_order(xyz, cut, 6)
    local = strain.local_strain(xyz, fit, covariance, strain_width_A)
    other = _other_strains(xyz, fit, a_bulk, published_width_A)
    coherent, coherence_of = crystallinity.coherence(xyz, fit)
    radial = {"local": local.radial, "published": other["published"], "authors": other["authors"]}
    tensor = local.tensor

    per_atom = {
        "cn": cn,
        "cn_expected": cn_mean,
        "cn_sigma": cn_sigma,
        "cn_generalised": coordination.generalised(xyz, cut, metal.system),
        "cn_generalised_authors": coordination.generalised(xyz, cut, metal.system, "authors"),
        "neighbours_cn_gt12": coordination.crowded_neighbours(xyz, cut, cn, FIRST_SHELL_ATOMS[metal.system]),
        "site_kind": coordination.site_kinds(cn),
        "nearest_A": nearest_distances(xyz),
        "bond_A": _mean_bond(xyz, cut),
        "centre_distance_A": np.linalg.norm(xyz - xyz.mean(0), axis=1) if n else np.zeros(0),
        "depth_A": depth_A,
        "structure": kind,
        "q4": q4,
        "q6": q6,
        "w4": w4,
        "w6": w6,
        "mean_q4": mean_q4,
        "mean_q6": mean_q6,
        "mean_w4": mean_w4,
        "mean_w6": mean_w6,
        "similar_bonds": similar,
        "on_lattice": fit.on_lattice,
        "site_a": fit.site[:, 0],
        "site_b": fit.site[:, 1],
        "site_c": fit.site[:, 2],
        "lattice_residual_A": np.linalg.norm(fit.residual_A, axis=1),
        "coherence": coherence_of,
    }
    if not fit.fits:  # places on a lattice that is not there mean nothing
        for name in ("site_a", "site_b", "site_c", "lattice_residual_A", "coherence"):
            per_atom[name] = np.full(n, np.nan)
        per_atom["on_lattice"] = np.zeros(n, bool)
    for name, i, j in strain.COMPONENTS:
        per_atom[f"strain_{name}_pct"] = 100 * tensor[:, i, j]
        per_atom[f"strain_{name}_sigma_pct"] = 100 * local.tensor_sigma[:, i, j]
    per_atom |= {
        "strain_hydrostatic_pct": 100 * local.hydrostatic,
        "strain_shear_pct": 100 * local.shear,
        "strain_radial_pct": 100 * local.radial,
        "strain_radial_sigma_pct": 100 * local.radial_sigma,
        "strain_radial_published_pct": 100 * other["published"],
        "strain_radial_authors_pct": 100 * other["authors"],
    }

    scores = {"coherence": coherent}
    scores["ks_distances"], ks_D, scores["ks_shells"], shells_low, shells_high = crystallinity.pair_scores(
        xyz, metal.system, a_bulk
    )
    bulk_cn = FIRST_SHELL_ATOMS[metal.system]
    depths = depth_profile.all_depths(xyz, cn, depth_A, bulk_cn) if n >= MIN_ATOMS else {}
    if "plateau" in depths:
        depths["plateau"] = float(depth_profile.plateau_depth(depth_A, cn, reached=depth_level))
    headline = {
        "n_atoms": float(n),
        "diameter_A": surface.largest_distance(xyz),
        "fraction_cn_gt8": coordination.fraction_above(cn),
        "mean_cn": float(cn.mean()) if n else np.nan,
        "mean_radial_strain_pct": 100 * _mean(radial[strain_method]),
        "penetration_depth_A": depths.get(depth_method, np.nan),
        "crystallinity": scores[crystallinity_method],
    }
    rng = np.random.default_rng(seed)
    drawn, curves = _draw(
        atoms, covariance, cut, depth_A, cn, fit, depth_method, depth_level, crystallinity_method, draws, rng
    )
    state = {}
    for name, value in headline.items():
        low, high = bootstrap.centred_interval(value, drawn.get(name, []), interval_level)
        if name == "mean_radial_strain_pct":
            half = 100 * local.mean_radial_sigma * bootstrap.normal_quantile(interval_level)
            low, high = (value - half, value + half) if strain_method == "local" else (np.nan, np.nan)
        state |= {name: value, f"{name}_low": low, f"{name}_high": high}
    for name in ("fraction_cn_gt8", "crystallinity"):
        for side in ("_low", "_high"):
            state[name + side] = float(np.clip(state[name + side], 0, 1))
    strain_mean, strain_sigma = strain.mean_lattice_strain(fit, a_bulk)
    state |= {
        "structure": structure,
        "structure_why": structure_why,
        "cn_cutoff_A": cut,
        "cn_histogram": " ".join(f"{k}:{v}" for k, v in coordination.histogram(cn).items()),
        "fraction_cn_gt8_authors": coordination.fraction_above(cn, variant="authors"),
        "fraction_cn_gt8_expected": float(np.mean(_above(cn_mean, cn_sigma))) if n else np.nan,
        "fraction_cn_gt8_cutoff_minus": coordination.fraction_above(
            coordination.coordination_numbers(xyz, 0.97 * cut)
        ),
        "fraction_cn_gt8_cutoff_plus": coordination.fraction_above(
            coordination.coordination_numbers(xyz, 1.03 * cut)
        ),
        "fraction_cn_12": float(np.mean(cn == bulk_cn)) if n else np.nan,
        "fraction_cn_gt12": float(np.mean(cn > bulk_cn)) if n else np.nan,
        "mean_cn_generalised": _mean(per_atom["cn_generalised"]),
        "mean_nearest_A": _mean(per_atom["nearest_A"]),
        "min_nearest_A": float(np.nanmin(per_atom["nearest_A"])) if n > 1 else np.nan,
        "diameter_hull_A": (6 * surface.hull_volume(xyz) / np.pi) ** (1 / 3),
        "diameter_equivalent_A": 2 * depth_profile.equivalent_radius(xyz) if n else np.nan,
        "lattice_status": fit.status,
        "lattice_share": fit.share,
        "lattice_rms_A": fit.rms_A,
        "lattice_bulk_A": a_bulk,
        "lattice_A": fit.a_A,
        "lattice_sigma_A": fit.a_sigma_A,
    }
    for k, name in enumerate("abc"):
        state |= {f"lattice_{name}_A": fit.length_A[k], f"lattice_{name}_sigma_A": fit.length_sigma_A[k]}
    for k, name in enumerate(("alpha", "beta", "gamma")):
        state |= {
            f"lattice_{name}_deg": fit.angle_deg[k],
            f"lattice_{name}_sigma_deg": fit.angle_sigma_deg[k],
        }
    state |= {
        "lattice_strain_pct": 100 * strain_mean,
        "lattice_strain_sigma_pct": 100 * strain_sigma,
        "mean_radial_strain_local_pct": 100 * local.mean_radial,
        "mean_radial_strain_published_pct": 100 * _mean(other["published"]),
        "mean_radial_strain_authors_pct": 100 * _mean(other["authors"]),
        "mean_hydrostatic_strain_pct": 100 * _mean(local.hydrostatic),
        "mean_shear_strain_pct": 100 * _mean(local.shear),
        "strain_width_A": local.width_A,
        "vacancies": float(len(vacancies(xyz, fit))),
        "disordered_atoms": float((per_atom["similar_bonds"] <= 0.5).sum()),
        "crystallinity_coherence": coherent,
        "crystallinity_ks_shells": scores["ks_shells"],
        "crystallinity_ks_shells_low": shells_low,
        "crystallinity_ks_shells_high": shells_high,
        "crystallinity_ks_distances": scores["ks_distances"],
        "crystallinity_ks_distances_D": ks_D,
        "mean_sigma_A": _mean(np.sqrt(np.trace(covariance, axis1=1, axis2=2) / 3)),
        "sigma_source": source,
    }
    state |= {
        f"depth_{name}_A": depths.get(name, np.nan) for name in (*depth_profile.METHODS, "logistic_width")
    }
    return per_atom, state, _profile(depth_A, cn, curves, interval_level), fit


def _errors(atoms, fit):
    """(covariance, source): the atoms' own, or the scatter about the lattice where they have none."""
    covariance = np.array(atoms.covariance_A2, float)
    unknown = ~np.isfinite(covariance).all((1, 2))
    if not unknown.any():
        return covariance, "model"
    if fit.fits:
        covariance[unknown] = np.eye(3) * fit.rms_A**2 / 3
        return covariance, "lattice residuals" if unknown.all() else "model and lattice residuals"
    return covariance, "unknown" if unknown.all() else "model, partly unknown"


def _other_strains(xyz, fit, a_bulk, width):
    """Per-atom radial strain of the published estimators, for comparison."""
    nothing = np.full(len(xyz), np.nan)
    if not fit.fits or len(xyz) > MOST_PUBLISHED:
        return {"published": nothing, "authors": nothing}
    published = strain.published(xyz, fit, width)[1]
    if fit.system != "fcc":
        return {"published": published, "authors": nothing}
    turned = (xyz - fit.origin_A) @ fit.rotation  # the program takes crystal axes along the box
    return {"published": published, "authors": strain.authors(turned, fit.length_A, a_bulk, width)[1]}


def _draw(atoms, covariance, cut, depth_A, cn, fit, depth_method, level, score, draws, rng):
    """({headline: draws}, smoothed coordination of each draw): the model repeated within its errors."""
    n = len(atoms)
    if n < MIN_ATOMS:
        return {"n_atoms": bootstrap.draw_presence(atoms.probability, rng, draws).sum(1)}, None
    draws = int(np.clip(3e5 / n, 20, draws))
    # drawn along axes and in an order of the particle's own: intervals turn with it too
    if fit.fits:
        axes = crystal_frame(atoms.xyz_A, fit.rotation, fit.system)
    else:
        axes = principal_frame(atoms.xyz_A)
    order = intrinsic_order(
        atoms.xyz_A, axes, np.linalg.norm(atoms.xyz_A - atoms.xyz_A.mean(0), axis=1), depth_A, cn
    )
    place = np.argsort(order, kind="stable")
    present = bootstrap.draw_presence(atoms.probability[order], rng, draws)[:, place]
    weights = bootstrap.resampling_weights(n, rng, draws)[:, place]
    out = {
        name: []
        for name in (
            "n_atoms",
            "diameter_A",
            "fraction_cn_gt8",
            "mean_cn",
            "penetration_depth_A",
            "crystallinity",
        )
    }
    known = np.isfinite(depth_A)
    for xyz, here, weight in zip(
        bootstrap.draw_positions(atoms.xyz_A, covariance, rng, draws, axes, place),
        present,
        weights,
        strict=True,
    ):
        out["n_atoms"].append(here.sum())
        moved = xyz[here]
        again = coordination.coordination_numbers(moved, cut)
        out["diameter_A"].append(surface.largest_distance(moved))
        out["fraction_cn_gt8"].append(coordination.fraction_above(again))
        out["mean_cn"].append(again.mean() if len(again) else np.nan)
        if depth_method != "plateau":
            rows = np.repeat(np.arange(n), (weight * here).astype(int))
            bulk = FIRST_SHELL_ATOMS[fit.system]
            found = depth_profile.all_depths(atoms.xyz_A[rows], cn[rows], depth_A[rows], bulk)
            out["penetration_depth_A"].append(found[depth_method])
        if score == "coherence" and fit.fits:
            out["crystallinity"].append(crystallinity.coherence_moved(fit, here, xyz - atoms.xyz_A))
    # resampled about the coordination as found: the draws' own errors would be counted twice
    weights = weights * present
    if depth_method == "plateau":
        out["penetration_depth_A"] = depth_profile.plateau_depth(depth_A, cn, weights, level)
    if known.sum() < 5:
        return out, None
    grid = _depth_grid(depth_A[known])
    return out, depth_profile.profile(depth_A[known], cn[known], weights[:, known], grid_A=grid)[1]


def _profile(depth_A, cn, curves, level):
    """The coordination's profile with depth, with its interval."""
    known = np.isfinite(depth_A)
    if known.sum() < 5 or curves is None:
        return {name: np.zeros(0) for name in ("depth_A", "cn", "cn_low", "cn_high", "atoms")}
    grid = _depth_grid(depth_A[known])
    grid, mean, _ = depth_profile.profile(depth_A[known], cn[known].astype(float), grid_A=grid)
    low, high = np.nanquantile(curves, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return {
        "depth_A": grid,
        "cn": mean,
        "cn_low": np.minimum(low, mean),
        "cn_high": np.maximum(high, mean),
        "atoms": np.histogram(depth_A[known].round(6), np.r_[grid - 0.1, grid[-1] + 0.1].round(6))[0],
    }


def _depth_grid(depth_A, step_A=0.2):
    return np.arange(0, depth_A.max().round(6) + step_A, step_A)


def _above(mean, sigma, bound=8):
    """Probability of each atom that its coordination exceeds the bound, by a normal law of its expected
    coordination.
    """
    from scipy.special import ndtr

    return ndtr((mean - bound - 0.5) / np.maximum(sigma, 1e-6))


def _mean_bond(xyz, cut):
    """(n,) mean distance to the neighbours within the cut-off; NaN without any."""
    from perrin.states.neighbours import pairs

    found = pairs(xyz, cut)
    d = np.linalg.norm(xyz[found[:, 0]] - xyz[found[:, 1]], axis=1)
    count = np.bincount(found.ravel(), minlength=len(xyz))
    total = np.bincount(found[:, 0], d, len(xyz)) + np.bincount(found[:, 1], d, len(xyz))
    return np.divide(total, count, out=np.full(len(xyz), np.nan), where=count > 0)


def _mean(values):
    values = np.asarray(values, float)
    values = values[np.isfinite(values)]
    return float(values.mean()) if len(values) else np.nan
