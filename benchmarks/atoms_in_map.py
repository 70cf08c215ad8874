"""What the maps of finished windows say of their atoms, and of atoms that are not there.

    PYTHONPATH=workflow python benchmarks/atoms_in_map.py RESULTS/NAME ...

Prints the table of docs/results-statistics.md, a row a window: means over the atoms; the spread of the major axes,
half of which lie within so many degrees of the state's common axis; and, as a test of what validity can tell, the
atoms of the windows beside it that this window's model has not got, one at a time added to the model and looked up in
the map.
"""

import sys
from pathlib import Path

import numpy as np
from scipy.spatial import cKDTree

from perrin.atoms.in_map import VALID_RADIUS, atoms_in_map, validity
from perrin.atoms.metals import nearest_distance
from perrin.files.atomic import read_json
from perrin.files.maps import read_map
from perrin.files.models import read_atoms

NEAR_A = 1.0
HEADER = (
    "movie", "state", "atoms", "validity", "sd", "with the published width", "lowest", "halves", "u_iso A^2", "sd A^2",
    "its error A^2", "common axis within deg", "absent atoms", "validity of the absent, median", "highest",
)  # fmt: skip


def main(folders):
    """Print the table."""
    print("| " + " | ".join(HEADER) + " |\n|" + "---|" * len(HEADER))
    for folder in map(Path, folders):
        windows = sorted((folder / "windows").iterdir())
        found = [seen(window) for window in windows]
        for number, here in enumerate(found):
            if here is None:
                continue
            beside = [found[k][1] for k in (number - 1, number + 1) if 0 <= k < len(found) and found[k]]
            print("| " + " | ".join([folder.name, str(number + 1), *row(*here, beside)]) + " |", flush=True)


def seen(window):
    """(map, atoms, element, columns, width B) of a window that did not fail."""
    facts = read_json(window / "model.json")
    if facts["verdict"] == "failed":
        return None
    density, halves = read_map(window / "map.mrc"), [read_map(window / f"half{k}.mrc") for k in (1, 2)]
    atoms = read_atoms(window / "atoms.csv", density.data.shape[0], density.pixel_A)
    columns, whole = atoms_in_map(density, atoms.xyz_A, facts["element"], halves)
    return density, atoms.xyz_A, facts["element"], columns, whole["density_b_A2"]


def row(density, xyz, element, columns, b_A2, beside):
    """The cells of one window."""
    azimuth, polar = np.radians(columns["u_azimuth_deg"]), np.radians(columns["u_polar_deg"])
    axis = np.stack([np.cos(azimuth) * np.sin(polar), np.sin(azimuth) * np.sin(polar), np.cos(polar)], 1)
    axis = axis[np.isfinite(axis).all(1)]
    common = np.linalg.eigh(axis.T @ axis)[1][:, -1]
    off = np.degrees(np.arccos(np.clip(abs(axis @ common), 0, 1)))
    absent = np.concatenate([np.zeros((0, 3)), *beside])
    absent = absent[cKDTree(xyz).query(absent)[0] > NEAR_A]
    radius_A = VALID_RADIUS * nearest_distance(element)
    theirs = [validity(density, np.vstack([xyz, one]), element, radius_A, b_A2)[-1] for one in absent]
    v, u = columns["validity"], columns["u_iso_A2"]
    cells = [f"{len(xyz)}", f"{v.mean():.3f}", f"{v.std():.3f}", f"{columns['validity_authors'].mean():.3f}"]
    cells += [f"{v.min():.3f}", f"{columns['halves_correlation'].mean():.3f}"]
    cells += [f"{np.nanmean(u):.3f}", f"{np.nanstd(u):.3f}", f"{np.nanmedian(columns['u_iso_sigma_A2']):.3f}"]
    cells += [f"{np.median(off):.1f}", f"{len(absent)}"]
    return cells + ([f"{np.median(theirs):.2f}", f"{max(theirs):.2f}"] if theirs else ["", ""])


if __name__ == "__main__":
    main(sys.argv[1:])
