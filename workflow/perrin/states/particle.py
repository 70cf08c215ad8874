"""All statistics of one particle from its coordinates alone, whatever program made them: what `perrin stats` says."""

from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial import cKDTree

from perrin.files.coordinates import read_coordinates
from perrin.files.elements import element as look_up
from perrin.files.errors import InputError
from perrin.imaging import lattice
from perrin.states import neighbours, order
from perrin.states.describe import describe
from perrin.states.lattice_fit import MIN_ATOMS
from perrin.states.statistics import ATOM_STATS_COLUMNS, seen_in
from perrin.version import VERSION

TOO_NEAR_A = 0.5  # two atoms nearer than this are one atom listed twice
CLOSE = 0.7  # nearest-neighbour distances: no two atoms of a metal come nearer
MOST_ATOMS = 200_000
HEADLINES = (
    *("n_atoms", "diameter_A", "fraction_cn_gt8", "mean_cn", "mean_radial_strain_pct"),
    *("penetration_depth_A", "crystallinity"),
)


@dataclass(frozen=True)
class Particle:
    """What the coordinates of a particle say.

    facts : nested dict for JSON, keys end with their units
    per_atom : {column: (n,)}, columns ATOM_STATS_COLUMNS of perrin.states.statistics, with a map also MAP_COLUMNS of
        perrin.atoms.in_map
    state : {name: number or text}, the row of state.csv; depth : {column: (k,)}, the profile of depth.csv
    """

    facts: dict
    per_atom: dict
    state: dict
    depth: dict


def particle(path, element=None, model=1, map_path=None, **settings):
    """All statistics of a file of coordinates. Returns Particle.

    path : .xyz, .extxyz, .pdb, .cif, .csv (perrin.files.coordinates.read_coordinates)
    element : symbol of a metal of config/elements.yaml; None: the one that the file names
    model : which model of a file that holds several, from 1
    map_path : the map that the atoms were found in, .mrc; coordinates count from the centre of its first voxel
    settings : keyword arguments of perrin.states.describe.describe

    InputError where the file cannot be read, has fewer than 13 or more than 200,000 atoms, or an atom twice, and where
    the map is not a cube or does not hold the atoms.
    """
    models = read_coordinates(path, element)
    if not 1 <= model <= len(models):
        raise InputError(
            f"{path}: holds {len(models)} models, not {model}; give a number from 1 to {len(models)}"
        )
    found = particle_of(models[model - 1], str(path), **settings)
    if map_path is None:
        return found
    atoms = models[model - 1]
    seen, whole = seen_in(map_path, None, atoms.xyz_A, look_up(atoms.element).symbol)
    return replace(found, facts=found.facts | {"map": whole}, per_atom=found.per_atom | seen)


def particle_of(atoms, name="particle", **settings):
    """The same of Atoms; name : what errors call them."""
    check(atoms, name)
    metal = look_up(atoms.element)
    described, state, depth, fit = describe(atoms, metal, **settings)
    per_atom = {
        "atom": np.arange(1, len(atoms) + 1),
        "element": np.full(len(atoms), metal.symbol, dtype=object),
        **{f"{axis}_A": atoms.xyz_A[:, k] for k, axis in enumerate("xyz")},
        "occupancy": atoms.occupancy,
        "probability": atoms.probability,
        **described,
    }
    return Particle(
        facts=_facts(atoms, metal, name, state, described, fit),
        per_atom={k: per_atom[k] for k in ATOM_STATS_COLUMNS},
        state=state,
        depth=depth,
    )


def check(atoms, name):
    """InputError for what has no statistics: too few or too many atoms, atoms listed twice, no finite position."""
    xyz, n = atoms.xyz_A, len(atoms)
    if n < MIN_ATOMS:
        raise InputError(
            f"{name}: {n} atoms; statistics need at least {MIN_ATOMS}, an atom and its neighbours"
        )
    if n > MOST_ATOMS:
        raise InputError(
            f"{name}: {n} atoms; the limit is {MOST_ATOMS}: cut the particle out of its surroundings"
        )
    if not np.isfinite(xyz).all():
        row = int(np.flatnonzero(~np.isfinite(xyz).all(1))[0]) + 1
        raise InputError(f"{name}: atom {row} of {n} has no finite position; leave it out of the file")
    distance, other = cKDTree(xyz).query(xyz, k=2)
    row = int(np.argmin(distance[:, 1]))
    if distance[row, 1] < TOO_NEAR_A:
        twin = next(int(k) for k in other[row] if k != row)
        first, second = sorted((row + 1, twin + 1))
        raise InputError(
            f"{name}: atoms {first} and {second} are {distance[row, 1]:.3f} A apart, less than {TOO_NEAR_A} A: one "
            "atom listed twice, or coordinates that are not in angstrom; leave one out, or convert them"
        )


def _facts(atoms, metal, name, state, per_atom, fit):
    """The numbers of a particle as nested dict; keys end with their units."""
    xyz = atoms.xyz_A
    offset = np.linalg.norm(xyz - xyz.mean(0), axis=1)
    cut, pair = state["cn_cutoff_A"], neighbours.pairs(xyz, state["cn_cutoff_A"])
    bond = np.linalg.norm(xyz[pair[:, 0]] - xyz[pair[:, 1]], axis=1)
    volume = lattice.volume_per_atom(metal.system, metal.lattice_A, metal.c_over_a)
    r, g = neighbours.radial_distribution(xyz, volume)
    first_minimum = neighbours.radial_minimum(
        xyz, 2 * metal.radius_A, neighbours.SECOND_SHELL[metal.system] * metal.lattice_A
    )
    similar = order.bond_order(xyz, first_minimum, 6)[4]
    disordered = int((~(similar > 0.5)).sum())
    longest = np.argsort(-fit.length_A, kind="stable")  # NaN where there is none
    return {
        "file": name,
        "element": metal.symbol,
        "n_atoms": len(atoms),
        "diameter_A": state["diameter_A"],
        "diameter_hull_A": state["diameter_hull_A"],
        "diameter_centroid_A": 2 * offset.max(),
        "diameter_equivalent_A": state["diameter_equivalent_A"],
        "radius_of_gyration_A": np.sqrt((offset**2).mean()),
        "cn_cutoff_A": cut,
        "cn_histogram": {k: int(v) for k, v in (word.split(":") for word in state["cn_histogram"].split())},
        "mean_cn": state["mean_cn"],
        "mean_cn_generalised": state["mean_cn_generalised"],
        "mean_cn_generalised_authors": float(per_atom["cn_generalised_authors"].mean()),
        "fraction_cn_gt8": state["fraction_cn_gt8"],
        "fraction_cn_gt8_authors": state["fraction_cn_gt8_authors"],
        "fraction_cn_gt8_expected": state["fraction_cn_gt8_expected"],
        "fraction_cn_gt8_cutoff_minus": state["fraction_cn_gt8_cutoff_minus"],
        "fraction_cn_gt8_cutoff_plus": state["fraction_cn_gt8_cutoff_plus"],
        "atoms_cn_lt10": int((per_atom["cn"] < 10).sum()),
        "mean_nn_A": state["mean_nearest_A"],
        "min_nn_A": state["min_nearest_A"],
        "max_nn_A": float(per_atom["nearest_A"].max()),
        "mean_bond_A": float(bond.mean()) if len(bond) else None,
        "lattice": {
            "status": fit.status,
            "why": fit.why,
            "system": fit.system,
            **{f"{k}_A": fit.length_A[at] for k, at in zip("abc", longest)},
            **{f"{k}_sigma_A": fit.length_sigma_A[at] for k, at in zip("abc", longest)},
            "constant_A": fit.a_A,
            "constant_sigma_A": fit.a_sigma_A,
            "along_xyz_A": fit.length_A,
            "angles_deg": fit.angle_deg,
            "angles_sigma_deg": fit.angle_sigma_deg,
            "bulk_A": state["lattice_bulk_A"],
            "strain_pct": state["lattice_strain_pct"],
            "strain_sigma_pct": state["lattice_strain_sigma_pct"],
            "rms_A": fit.rms_A,
            "share_on_lattice": fit.share,
            "vacancies": int(state["vacancies"]),
        },
        "mean_radial_strain_pct": state["mean_radial_strain_pct"],
        "strain": {
            **{f"mean_radial_{k}_pct": state[f"mean_radial_strain_{k}_pct"] for k in ("local", "published", "authors")},
            "mean_hydrostatic_pct": state["mean_hydrostatic_strain_pct"],
            "mean_shear_pct": state["mean_shear_strain_pct"],
            "width_A": state["strain_width_A"],
        },
        "crystallinity": {
            "order": state["crystallinity_coherence"],
            **{k: state[f"crystallinity_{k}"] for k in ("ks_distances", "ks_distances_D")},
            **{k: state[f"crystallinity_{k}"] for k in ("ks_shells", "ks_shells_low", "ks_shells_high")},
        },
        "penetration_depth_A": state["penetration_depth_A"],
        "penetration_depths_A": {
            k: state[f"depth_{k}_A"] for k in ("plateau", "exponential", "step", "logistic", "first")
        },
        "structure": state["structure"],
        "structure_why": state["structure_why"],
        "bond_order": {
            **{f"mean_{k}": _mean(per_atom[k]) for k in ("q4", "q6", "w4", "w6")},
            **{f"mean_averaged_{k}": _mean(per_atom[f"mean_{k}"]) for k in ("q4", "q6", "w4", "w6")},
            "cutoff_A": first_minimum,
            "disordered_atoms": disordered,
            "disordered_share": disordered / len(atoms),
        },
        "g_r": {"first_minimum_A": first_minimum, "r_A": r.round(4), "g": g},
        "intervals": {
            k: [state[f"{k}_low"], state[f"{k}_high"]] for k in HEADLINES
        },
        "sigma_A": state["mean_sigma_A"],
        "sigma_source": state["sigma_source"],
        "warnings": _warnings(state, metal, fit, neighbours.components(len(atoms), pair)),
        "perrin": VERSION,
    }  # fmt: skip


def _warnings(state, metal, fit, groups):
    """Sentences on what should not be taken at face value; groups : atoms that neighbours join, lone ones left out."""
    found = []
    largest = max(map(len, groups), default=0)
    if largest < state["n_atoms"]:
        found.append(
            f"only {largest} of the atoms hang together, the other {state['n_atoms'] - largest:.0f} touch none of "
            "them: every number here is of all together"
        )
    if state["min_nearest_A"] < CLOSE * 2 * metal.radius_A:
        found.append(
            f"two atoms are {state['min_nearest_A']:.2f} A apart, in bulk {metal.symbol} {2 * metal.radius_A:.2f} A: "
            "probably not both are real"
        )
    if not fit.fits:
        found.append(f"no strain and no lattice constant to believe: {fit.why}")
    elif abs(state["lattice_strain_pct"]) > 1.0:
        found.append(
            f"the lattice is {state['lattice_strain_pct']:+.1f} % off the bulk's: an error of the pixel size shifts "
            "every strain by as much"
        )
    if not np.isfinite(state["crystallinity_ks_shells"]):
        found.append(
            "the Kolmogorov-Smirnov scores compare all pairs of atoms with those of a ball as wide as the particle, "
            "and are left out for so many"
        )
    if fit.fits and not np.isfinite(state["mean_radial_strain_published_pct"]):
        found.append("the published strains go over all pairs of atoms and are left out for so many")
    return found


def _mean(values):
    return float(np.nanmean(values)) if np.isfinite(values).any() else None
