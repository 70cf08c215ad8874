"""What the 3D view of a window needs, as compact numbers: positions, errors and statistics of its atoms.

The view itself is workflow/report/viewer.js: a few hundred lines that draw shaded spheres on a canvas. A library
(3Dmol.js is 0.54 MB) would be most of the page's size, needs WebGL, which remote desktops and locked-down browsers
often lack, and draws thousands of times more than the few hundred atoms that there are here.
"""

import numpy as np

from perrin.report.tables import table

# statistics shown with an atom: {key in the page: (column of atoms_stats.csv, factor before rounding to integers)}
SHOWN = {
    "cn": ("cn", 1),
    "strain": ("strain_radial_pct", 100),
    "strain_sd": ("strain_radial_sigma_pct", 100),
    "depth": ("depth_A", 100),
    "p": ("probability", 1000),
    "occ": ("occupancy", 1000),
    "validity": ("validity", 1000),
}
LIVES = ("present", "left", "arrived", "visited")


def scene(folder, lives, state, metal, most_atoms):
    """The atoms of a window for the 3D view, or None where there are none or too many.

    folder : of the window, with atoms.csv and, where they are there, atoms_stats.csv, cn cut-off in state
    lives : DataFrame of dynamics/lives.csv or None; state : (place among the states that did not fail, row of
    states.csv as a dict) or None
    Positions in hundredths of an angstrom from the atoms' centroid, errors in thousandths.
    """
    wanted = ["site_kind", *(column for column, _ in SHOWN.values())]
    atoms, stats = table(folder / "atoms.csv"), table(folder / "atoms_stats.csv", wanted)
    if atoms is None or not len(atoms) or len(atoms) > most_atoms:
        return None
    xyz = atoms[["x_A", "y_A", "z_A"]].to_numpy(float)
    if not np.isfinite(xyz).all():
        return None
    centre = xyz.mean(0)
    numbers = {"xyz": _whole((xyz - centre).ravel(), 100), "origin": [round(float(c), 4) for c in centre]}
    sigma = [atoms[f"sigma_{axis}_A"].to_numpy(float) for axis in "xyz" if f"sigma_{axis}_A" in atoms]
    if len(sigma) == 3:
        numbers["sd"] = _whole(np.stack(sigma, 1).ravel(), 1000)
    source = stats if stats is not None and len(stats) == len(atoms) else atoms
    for key, (column, factor) in SHOWN.items():
        if column in source and source[column].notna().any():
            numbers[key] = _whole(source[column].to_numpy(float), factor)
    if "site_kind" in source:
        kinds = sorted(set(source["site_kind"]))
        numbers |= {"kinds": kinds, "kind": [kinds.index(k) for k in source["site_kind"]]}
    numbers |= {"element": metal.symbol, "radius": metal.radius_A}
    numbers["bond"] = float((state or (0, {}))[1].get("cn_cutoff_A") or 2.5 * metal.radius_A)
    if lives is not None and state is not None:
        numbers |= _identity(lives, state, len(atoms), centre)
    return numbers


def _identity(lives, state, count, centre):
    """Life and core of each atom, and where the atoms were that left since the state before."""
    place, row = state
    held = [
        [int(n) for n in str(text).split()] if str(text).strip() else [] for text in lives["atoms"].tolist()
    ]
    names, cores = lives["life"].tolist(), lives["core"].tolist()
    xyz_A = lives[["x_A", "y_A", "z_A"]].to_numpy(float)
    life, core, gone = np.full(count, -1), np.zeros(count, int), []
    for index, numbers in enumerate(held):
        if place >= len(numbers):
            continue
        number = numbers[place]
        if 0 < number <= count:
            name = names[index]
            life[number - 1] = LIVES.index(name) if name in LIVES else -1
            core[number - 1] = bool(cores[index])
        elif number == 0 and place > 0 and numbers[place - 1] > 0:
            gone.append(xyz_A[index])
    found = {"life": life.tolist(), "core": core.tolist()}
    # lives are in the frame of the first state; a state that was docked lies elsewhere
    if gone and not row.get("docked", False):
        found["gone"] = _whole((np.array(gone) - centre).ravel(), 100)
    return found


def _whole(values, factor):
    """Rounded integers, None where a value is missing."""
    values = np.asarray(values, float) * factor
    return [int(round(v)) if np.isfinite(v) else None for v in values.tolist()]
