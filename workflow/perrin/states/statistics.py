"""Stage `statistics`: everything that one window's atoms say by themselves."""

import logging
import re

import numpy as np

from perrin.atoms.in_map import MAP_COLUMNS, atoms_in_map
from perrin.files.atomic import read_json, write_text
from perrin.files.elements import element as look_up
from perrin.files.errors import InputError
from perrin.files.maps import read_map
from perrin.files.models import file_origin_A, read_atoms
from perrin.files.tables import write_table
from perrin.states.describe import describe
from perrin.states.lattice_fit import MIN_ATOMS

log = logging.getLogger("perrin")

_WHERE = {
    "trajectory": ("", "name of the trajectory"),
    "window": ("", "name of the window, by its first and last frame"),
    "first_frame": ("frame", "first frame of the window, in the movie"),
    "last_frame": ("frame", "last frame of the window, included"),
    "time_s": ("s", "middle of the window, from the movie's first frame"),
}
_STRAIN = {
    f"strain_{name}_pct": (
        "%",
        f"strain {name} along the crystal's axes, local-linear, against the bulk lattice",
    )
    for name in ("xx", "yy", "zz", "xy", "yz", "xz")
}
_STRAIN_SIGMA = {
    f"strain_{name}_sigma_pct": ("%", f"standard error of strain {name}, from the positions' covariances")
    for name in ("xx", "yy", "zz", "xy", "yz", "xz")
}
ATOM_STATS_COLUMNS = {
    "atom": ("", "number of the atom in atoms.csv, from 1"),
    "element": ("", "chemical symbol"),
    "x_A": ("A", "position along x, as in atoms.csv"),
    "y_A": ("A", "position along y, as in atoms.csv"),
    "z_A": ("A", "position along z, as in atoms.csv"),
    "occupancy": ("", "as in atoms.csv"),
    "probability": ("", "that the atom exists, as in atoms.csv"),
    "cn": ("", "coordination number: atoms nearer than the cut-off of state.csv"),
    "cn_expected": ("", "mean coordination number over the errors of the positions"),
    "cn_sigma": ("", "standard deviation of the coordination number over the errors of the positions"),
    "cn_generalised": ("", "sum of the neighbours' coordination numbers over the bulk's (12 in fcc)"),
    "cn_generalised_authors": ("", "the same over the largest coordination number among the neighbours"),
    "neighbours_cn_gt12": ("", "neighbours with more than the bulk's coordination (12 in fcc)"),
    "site_kind": ("", "adatom, corner, edge, facet, step or bulk, by the coordination number in fcc"),
    "nearest_A": ("A", "distance to the nearest atom"),
    "bond_A": ("A", "mean distance to the neighbours"),
    "centre_distance_A": ("A", "distance to the centroid of all atoms"),
    "depth_A": ("A", "distance below the surface through the outermost atoms' centres (alpha shape)"),
    "structure": ("", "fcc, hcp, icosahedral, fivefold, bcc or other, by common neighbours"),
    "q4": ("", "bond-orientational order of the atom's bonds, degree 4"),
    "q6": ("", "the same, degree 6"),
    "w4": ("", "third-order invariant of degree 4, normalised"),
    "w6": ("", "third-order invariant of degree 6, normalised"),
    "mean_q4": ("", "q4 of the vectors averaged over the atom and its neighbours"),
    "mean_q6": ("", "q6 of the averaged vectors"),
    "mean_w4": ("", "w4 of the averaged vectors"),
    "mean_w6": ("", "w6 of the averaged vectors"),
    "similar_bonds": ("", "share of bonds to neighbours of like surroundings (degree 6, overlap above 0.8)"),
    "on_lattice": ("", "whether the atom lies on a site of the fitted lattice, nearest of all"),
    "site_a": ("", "its site along a, fraction of the cell"),
    "site_b": ("", "its site along b, fraction of the cell"),
    "site_c": ("", "its site along c, fraction of the cell"),
    "lattice_residual_A": ("A", "distance from the site of the fitted lattice"),
    "coherence": ("", "how well the atom is in step with the fitted lattice, 1 at most"),
    **{name: text for pair in zip(_STRAIN.items(), _STRAIN_SIGMA.items()) for name, text in pair},
    "strain_hydrostatic_pct": ("%", "a third of the trace of the strain"),
    "strain_shear_pct": ("%", "von Mises' equivalent strain"),
    "strain_radial_pct": ("%", "strain along the line from the centroid, local-linear"),
    "strain_radial_sigma_pct": ("%", "its standard error, from the positions' covariances"),
    "strain_radial_published_pct": ("%", "radial strain by the published formulas; biased, for comparison"),
    "strain_radial_authors_pct": ("%", "radial strain as the authors' program; biased, for comparison"),
}


def _with_interval(name, unit, meaning):
    return {
        name: (unit, meaning),
        f"{name}_low": (unit, f"lower end of the interval of {name}"),
        f"{name}_high": (unit, f"upper end of the interval of {name}"),
    }


STATE_COLUMNS = {
    **_WHERE,
    "verdict": ("", "good, doubtful or failed: the model's verdict; failed also without atoms"),
    "why": ("", "why"),
    **_with_interval("n_atoms", "", "number of atoms"),
    **_with_interval("diameter_A", "A", "largest distance between two atoms' centres"),
    **_with_interval("fraction_cn_gt8", "", "share of atoms with a coordination number above 8"),
    **_with_interval("mean_cn", "", "mean coordination number"),
    **_with_interval("mean_radial_strain_pct", "%", "mean radial strain, by the configured estimator"),
    **_with_interval("penetration_depth_A", "A", "penetration depth, by the configured reading"),
    **_with_interval("crystallinity", "", "crystallinity score, the configured one"),
    "structure": ("", "fcc, bcc, hcp, twinned, decahedral, icosahedral or amorphous"),
    "structure_why": ("", "what says so"),
    "cn_cutoff_A": ("A", "neighbours are nearer than this"),
    "cn_histogram": ("", "coordination number:atoms"),
    "fraction_cn_gt8_authors": ("", "share above 8 among coordination numbers 3 to 13 that two atoms or more have"),
    "fraction_cn_gt8_expected": ("", "share above 8, averaged over the errors of the positions"),
    "fraction_cn_gt8_cutoff_minus": ("", "share above 8 with a cut-off 3 % shorter"),
    "fraction_cn_gt8_cutoff_plus": ("", "share above 8 with a cut-off 3 % longer"),
    "fraction_cn_12": ("", "share with the bulk's coordination number (12 in fcc)"),
    "fraction_cn_gt12": ("", "share with more than the bulk's coordination number"),
    "mean_cn_generalised": ("", "mean generalised coordination number"),
    "mean_nearest_A": ("A", "mean distance to the nearest atom"),
    "min_nearest_A": ("A", "smallest distance between two atoms"),
    "diameter_hull_A": ("A", "diameter of the ball of the convex hull's volume"),
    "diameter_equivalent_A": ("A", "diameter of the ball of the same root mean square radius"),
    "lattice_status": ("", "fits, does not fit or too few atoms; strain means nothing unless it fits"),
    "lattice_share": ("", "share of atoms on sites of the fitted lattice"),
    "lattice_rms_A": ("A", "root mean square distance from the sites"),
    "lattice_bulk_A": ("A", "lattice constant of the bulk that strain refers to"),
    "lattice_A": ("A", "fitted lattice constant, from the cell's volume"),
    "lattice_sigma_A": ("A", "its standard error; an error of the pixel size comes on top"),
    **{f"lattice_{k}_A": ("A", f"fitted cell edge {k}, of the equivalent axes nearest x, y, z") for k in "abc"},
    **{f"lattice_{k}_sigma_A": ("A", f"standard error of cell edge {k}") for k in "abc"},
    **{f"lattice_{k}_deg": ("deg", f"fitted cell angle {k}") for k in ("alpha", "beta", "gamma")},
    **{f"lattice_{k}_sigma_deg": ("deg", f"standard error of {k}") for k in ("alpha", "beta", "gamma")},
    "lattice_strain_pct": ("%", "fitted lattice constant against the bulk's"),
    "lattice_strain_sigma_pct": ("%", "its standard error"),
    "scale_error_pct": ("%", "error of the pixel size, which every strain shares; in no interval"),
    "mean_radial_strain_local_pct": ("%", "mean radial strain, local-linear"),
    "mean_radial_strain_published_pct": ("%", "mean radial strain by the published formulas; biased"),
    "mean_radial_strain_authors_pct": ("%", "mean radial strain as the program of the authors; biased"),
    "mean_hydrostatic_strain_pct": ("%", "mean of a third of the trace"),
    "mean_shear_strain_pct": ("%", "mean of von Mises' equivalent strain"),
    "strain_width_A": ("A", "width of the weights of the local-linear strain"),
    "vacancies": ("", "empty sites with two thirds of their neighbours"),
    "disordered_atoms": ("", "atoms with at most half of their bonds to neighbours of like surroundings"),
    "crystallinity_coherence": ("", "how well the atoms are in step with one lattice: 1 perfect, near 0 without order"),
    "crystallinity_ks_shells": ("", "score of the authors' program, mean over centres of the reference"),
    "crystallinity_ks_shells_low": ("", "lowest over the centres"),
    "crystallinity_ks_shells_high": ("", "highest over the centres"),
    "crystallinity_ks_distances": ("", "p-value of all pair distances; near 0 for any real particle"),
    "crystallinity_ks_distances_D": ("", "its largest difference of distributions"),
    "mean_sigma_A": ("A", "mean error of a position along one axis"),
    "sigma_source": ("", "where the errors of the positions come from"),
    "depth_plateau_A": ("A", "depth below the surface at which the coordination reaches the plateau inside"),
    "depth_exponential_A": ("A", "decay length of the coordination below the surface"),
    "depth_step_A": ("A", "equivalent radius minus the radius that parts low from high coordination best"),
    "depth_logistic_A": ("A", "equivalent radius minus the middle of a logistic of coordination against radius"),
    "depth_first_A": ("A", "equivalent radius minus the smallest radius of an atom short of neighbours"),
    "depth_logistic_width_A": ("A", "width of the logistic"),
    "mean_validity": ("", "mean over the atoms of the correlation of map and simulated density; empty without a map"),
    "sd_validity": ("", "its standard deviation over the atoms"),
    "mean_validity_authors": ("", "the mean with the published width of the atoms in the density"),
    "mean_halves_correlation": ("", "mean over the atoms of the correlation of the two half maps"),
    "mean_u_iso_A2": ("A^2", "mean variance of the atoms in the map along one axis; holds the map's blur"),
    "density_b_A2": ("A^2", "width B of the atoms' density that fits the map best"),
}  # fmt: skip
DEPTH_COLUMNS = {
    "depth_A": ("A", "depth below the surface through the outermost atoms' centres"),
    "cn": ("", "coordination number, smoothed over the depth"),
    "cn_low": ("", "lower end of its interval"),
    "cn_high": ("", "upper end of its interval"),
    "atoms": ("", "atoms within 0.1 A of this depth"),
}


def statistics(
    *, atoms, model_json, atoms_stats, state, depth, strain_pdb, name, window, element, frame_rate_hz, seed, cn_cutoff,
    lattice_source, strain_method, strain_width_A, published_width_A, depth_method, depth_level, crystallinity_method,
    min_lattice_share, interval_level, draws, scale_error_pct, window_map=None, half1=None, half2=None,
):  # fmt: skip
    """Write the statistics of one window's atoms.

    atoms, model_json : the window's model and its verdict
    window_map, half1, half2 : its map and half maps, for the columns MAP_COLUMNS of `perrin.atoms.in_map` and the last
        six of STATE_COLUMNS; without a map the first are left out and the others empty
    atoms_stats, state (one row), depth : csv files to write; strain_pdb : the atoms with the radial strain (%) in the B
        column, 0.00 where it is unknown
    name, window, element, frame_rate_hz, seed : facts of the trajectory and the window (f000000-001199)
    The rest: as `perrin.states.describe.describe`; scale_error_pct : of the pixel size, written beside the strains.

    A model that failed, or one without atoms, gives a row with the verdict "failed" and empty numbers, and
    tables without rows.
    """
    first, last = frames_of(window)
    metal = look_up(element)
    facts = read_json(model_json)
    model = read_atoms(atoms, 0, 1.0)  # nothing here depends on where the origin is: as in the file
    model = type(model)(
        model.xyz_A, model.occupancy, model.covariance_A2, model.probability, metal.symbol, {}
    )
    verdict, why = facts.get("verdict", "good"), facts.get("why", "")
    if verdict != "failed" and len(model) < MIN_ATOMS:
        verdict, why = "failed", f"{len(model)} atoms; statistics need at least {MIN_ATOMS}"
    row = {
        "trajectory": name,
        "window": window,
        "first_frame": first,
        "last_frame": last,
        "time_s": (first + last + 1) / 2 / frame_rate_hz,
        "verdict": verdict,
        "why": why,
    }
    if verdict == "failed":
        log.info("%s %s: %s", name, window, why)
        numbers, per_atom = {}, {column: np.zeros(0) for column in ATOM_STATS_COLUMNS | MAP_COLUMNS}
        profile = {column: np.zeros(0) for column in DEPTH_COLUMNS}
        model = model.take(np.zeros(0, int))
    else:
        described, numbers, profile, _ = describe(
            model,
            metal,
            cn_cutoff=cn_cutoff,
            lattice_source=lattice_source,
            strain_method=strain_method,
            strain_width_A=strain_width_A,
            published_width_A=published_width_A,
            depth_method=depth_method,
            depth_level=depth_level,
            crystallinity_method=crystallinity_method,
            min_lattice_share=min_lattice_share,
            interval_level=interval_level,
            draws=draws,
            seed=seed,
        )
        numbers["scale_error_pct"] = float(scale_error_pct)
        per_atom = {
            "atom": np.arange(1, len(model) + 1),
            "element": np.full(len(model), metal.symbol, dtype=object),
            "x_A": model.xyz_A[:, 0],
            "y_A": model.xyz_A[:, 1],
            "z_A": model.xyz_A[:, 2],
            "occupancy": model.occupancy,
            "probability": model.probability,
        } | described
        if window_map is not None:
            halves = None if half1 is None or half2 is None else (half1, half2)
            seen, of_map = seen_in(window_map, halves, model.xyz_A, metal.symbol)
            per_atom, numbers = per_atom | seen, numbers | of_map
        log.info("%s %s: %d atoms, %s", name, window, len(model), numbers["structure_why"])
    blank = {column: "" if column in _TEXTS else np.nan for column in STATE_COLUMNS}
    row = {column: [(blank | numbers | row)[column]] for column in STATE_COLUMNS}
    columns = ATOM_STATS_COLUMNS | (MAP_COLUMNS if window_map is not None else {})
    write_table(atoms_stats, {column: per_atom[column] for column in columns}, columns)
    write_table(state, row, STATE_COLUMNS)
    write_table(depth, profile, DEPTH_COLUMNS)
    write_b_column_pdb(strain_pdb, model, per_atom["strain_radial_pct"], "RADIAL STRAIN IN PERCENT")


_TEXTS = {"structure", "structure_why", "cn_histogram", "lattice_status", "sigma_source"}


def seen_in(window_map, halves, xyz_A, element):
    """What a map in a file says of atoms: the columns MAP_COLUMNS, and what state.csv says of them.

    window_map : path; halves : paths of the two half maps, or None
    xyz_A : (n, 3) as in files, angstrom from the centre of voxel (0, 0, 0)
    InputError for a map that is not a cube, or that does not hold the atoms.
    """
    density = read_map(window_map)
    side = density.data.shape
    if len(set(side)) != 1:
        raise InputError(
            f"{window_map}: {side[2]} x {side[1]} x {side[0]} voxels; give a cubic map, cut or padded"
        )
    place = np.asarray(xyz_A, float) - file_origin_A(side[0], density.pixel_A)
    outside = int((np.abs(place) > side[0] / 2 * density.pixel_A).any(1).sum())
    if outside:
        raise InputError(
            f"{window_map}: {outside} of {len(place)} atoms lie outside the map, which starts at 0 A and ends at "
            f"{side[0] * density.pixel_A:.1f} A; count coordinates from the centre of its first voxel"
        )
    seen, whole = atoms_in_map(
        density, place, element, [read_map(half) for half in halves] if halves else None
    )
    names = ("validity", "validity_authors", "halves_correlation", "u_iso_A2")
    means = {f"mean_{name}": _mean(seen[name]) for name in names}
    return seen, means | {"sd_validity": float(np.std(seen["validity"], ddof=1))} | whole


def _mean(values):
    return float(np.nanmean(values)) if np.isfinite(values).any() else np.nan


def frames_of(window):
    """(first, last) frame of a window's name; InputError for another name."""
    match = re.fullmatch(r"f(\d+)-(\d+)", window)
    if match is None:
        raise InputError(f"window {window!r} is not named by its frames, as in f000000-001199")
    return int(match[1]), int(match[2])


def write_b_column_pdb(path, atoms, values, meaning):
    """Write atoms as PDB, coordinates as they are, with values (n,) in the B column (two decimals; unknown: 0.00)."""
    lines = [f"REMARK   3 B COLUMN: {meaning}"]
    symbol = atoms.element.upper()
    for index, (xyz, value) in enumerate(zip(atoms.xyz_A, np.nan_to_num(values).clip(-99.99, 999.99)), 1):
        lines.append(
            f"HETATM{index % 100000:5d} {symbol:>2}   {symbol:>3} A{index % 10000:4d}    "
            f"{xyz[0]:8.3f}{xyz[1]:8.3f}{xyz[2]:8.3f}{1.0:6.2f}{value:6.2f}          {symbol:>2}"
        )
    write_text(path, "\n".join([*lines, "END", ""]))
