"""Found against truth: the atoms and boundaries of a simulated movie beside those that the pipeline found.

The only reader of a truth folder (perrin.simulate.write); what it reads goes into the report and nowhere else.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from perrin.imaging.lattice import nearest_distance
from perrin.states.dock import dock, kabsch
from perrin.states.lattice_fit import fit_lattice


def compare(folder, windows, models, metal, match_A):
    """What was found beside what is true.

    folder : with frames.csv and atoms_stateK.csv; windows : list of (first_frame, last_frame) in time order
    models : list of (n, 3) positions, angstrom, or None where a window failed
    match_A : atoms further apart than this are not the same

    returns {"windows": [dict of the comparison or None], "boundaries": [...], "frames": changes of the true state}
    """
    folder = Path(folder)
    state = pd.read_csv(folder / "frames.csv")["state"].to_numpy()
    true = {}
    for number in np.unique(state):
        file = folder / f"atoms_state{number}.csv"
        if file.is_file():
            true[int(number)] = pd.read_csv(file)[["x_A", "y_A", "z_A"]].to_numpy(float)
    rows = []
    for (first, last), xyz in zip(windows, models, strict=True):
        inside = state[first : last + 1]
        number = int(np.bincount(inside).argmax()) if len(inside) else 0
        row = {"state": number, "pure_pct": 100 * float(np.mean(inside == number)) if len(inside) else np.nan}
        if xyz is not None and len(xyz) and number in true:
            row |= match(xyz, true[number], metal, match_A)
        rows.append(row)
    changes = np.flatnonzero(np.diff(state)) + 1
    return {
        "windows": rows,
        "frames": changes.tolist(),
        "boundaries": boundaries([first for first, _ in windows[1:]], changes),
    }


def match(xyz, true, metal, match_A):
    """Recall, precision and rmsd of positions against true ones, after the best rigid motion of either hand.

    Projections cannot tell a structure from its mirror image, so that both hands are tried. xyz (n, 3), true (m, 3).
    """
    nearest = nearest_distance(metal.system, metal.lattice_A)
    true_fit = fit_lattice(true, metal.system, metal.lattice_A, metal.c_over_a)
    found = []
    for hand in (1, -1):
        turned = hand * xyz
        fit = fit_lattice(turned, metal.system, metal.lattice_A, metal.c_over_a)
        placed = dock(turned, true, fit, true_fit, nearest)(turned)
        for _ in range(3):
            pairs = assign(placed, true, match_A)
            if len(pairs) < 4:
                break
            R, t = kabsch(placed[pairs[:, 0]], true[pairs[:, 1]])
            placed = placed @ R.T + t
        pairs = assign(placed, true, match_A)
        apart = np.linalg.norm(placed[pairs[:, 0]] - true[pairs[:, 1]], axis=1)
        found.append((len(pairs), -float(np.sqrt(np.mean(apart**2))) if len(pairs) else -np.inf))
    mirrored = found[1] > found[0]
    matched, rmsd = found[mirrored]
    return {
        "true_atoms": len(true),
        "found_atoms": len(xyz),
        "matched": matched,
        "recall_pct": 100 * matched / len(true),
        "precision_pct": 100 * matched / len(xyz),
        "rmsd_A": -rmsd if matched else np.nan,
        "hand": "either" if found[0][0] == found[1][0] else "mirrored" if mirrored else "as true",
    }


def assign(xyz, true, match_A):
    """(k, 2) rows of xyz and of true that belong together, one to one, none further apart than match_A."""
    distance = cdist(xyz, true)
    found, wanted = linear_sum_assignment(np.minimum(distance, match_A) ** 2)
    near = distance[found, wanted] < match_A
    return np.stack([found[near], wanted[near]], 1)


def boundaries(found, true):
    """[{"true", "found", "off"}] in frames: each true boundary with the nearest found one, then found ones without."""
    found, rows, used = list(found), [], set()
    for frame in np.asarray(true).tolist():
        left = [k for k in range(len(found)) if k not in used]
        near = min(left, key=lambda k: abs(found[k] - frame), default=None)
        if near is None:
            rows.append({"true": frame, "found": None, "off": None})
        else:
            used.add(near)
            rows.append({"true": frame, "found": found[near], "off": found[near] - frame})
    rows += [{"true": None, "found": f, "off": None} for k, f in enumerate(found) if k not in used]
    return rows
