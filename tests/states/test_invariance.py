"""Every number, interval and per-atom value is the same to 1e-9 however the particle is turned, moved and listed."""

import numpy as np
import pytest
from clusters import octahedron, sphere
from scipy.spatial.transform import Rotation

from perrin.files.elements import element
from perrin.files.records import Atoms
from perrin.states.describe import describe

A = 3.9242
# named by the crystal axis nearest x, y or z, as the crystal's own axes are alike: they change places, no value changes
ALONG_STATE = [f"lattice_{k}{s}" for k in ("a", "b", "c") for s in ("_A", "_sigma_A")]
ANGLES = [f"lattice_{k}{s}" for k in ("alpha", "beta", "gamma") for s in ("_deg", "_sigma_deg")]
TENSOR = ("xx", "yy", "zz", "xy", "yz", "xz")
ALONG_ATOM = [f"strain_{k}{s}_pct" for k in TENSOR for s in ("", "_sigma")] + [f"site_{k}" for k in "abc"]


def icosahedron():
    from ase.cluster import Icosahedron

    return Icosahedron("Pt", 4, latticeconstant=A).positions


def decahedron():
    from ase.cluster import Decahedron

    return Decahedron("Pt", 3, 2, 1, latticeconstant=A).positions


CASES = {
    "sphere": lambda rng, measured: sphere(14) * A / 2,
    "octahedron without an atom in its middle": lambda rng, measured: octahedron(6) * A / 2,
    "noisy": lambda rng, measured: sphere(18) * A / 2 + rng.normal(0, 0.1, (177, 3)),
    "icosahedron": lambda rng, measured: icosahedron(),
    "decahedron": lambda rng, measured: decahedron(),
    "points without order": lambda rng, measured: rng.uniform(-8, 8, (150, 3)),
    "measured, stage 1": lambda rng, measured: measured("kang2025_stage1"),
    "measured, stage 2": lambda rng, measured: measured("kang2025_stage2"),
}


def same(first, second):
    """Whether two arrays agree to 1e-9 (of the value where that is above 1), absent values included."""
    return np.allclose(first, second, rtol=1e-9, atol=1e-9, equal_nan=True)


@pytest.mark.parametrize("with_errors", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_turned_moved_and_listed_otherwise(case, with_errors, measured):
    """Would catch a search, a tie, a random draw or a threshold that hangs on axes, origin, order or last bits."""
    rng = np.random.default_rng(6)
    xyz = CASES[case](rng, measured)
    n = len(xyz)
    root = rng.normal(0, 0.05, (n, 3, 3))
    covariance = root @ root.transpose(0, 2, 1) if with_errors else np.full((n, 3, 3), np.nan)
    if with_errors and not case.startswith(("noisy", "measured", "points")):
        covariance = np.tile(np.eye(3) * 0.05**2, (n, 1, 1))  # as symmetric as the particle
    turn, order = Rotation.random(rng=rng).as_matrix(), rng.permutation(n)

    def described(points, errors):
        model = Atoms(points, np.ones(n), errors, np.full(n, 0.98), "Pt")
        return describe(model, element("Pt"), draws=20)

    per_atom, state, depth, fit = described(xyz, covariance)
    moved = described((xyz @ turn.T + [3, -7, 11])[order], (turn @ covariance @ turn.T)[order])
    for name, value in state.items():
        if name in ALONG_STATE + ANGLES:
            continue
        if isinstance(value, str):
            assert moved[1][name] == value, name
        else:
            assert same(value, moved[1][name]), name
    for name, values in per_atom.items():
        values = np.asarray(values)[order]
        if name in ALONG_ATOM:
            continue
        if values.dtype.kind == "f":
            assert same(values, moved[0][name]), name
        else:
            assert (values == moved[0][name]).all(), name
    for name, values in depth.items():
        assert same(values, moved[2][name]), name
    if not fit.fits:
        return
    for keys in ([f"lattice_{k}_A" for k in "abc"], [f"lattice_{k}_sigma_A" for k in "abc"]):
        assert same(sorted(state[k] for k in keys), sorted(moved[1][k] for k in keys))
    assert same(np.linalg.eigvalsh(tensors(per_atom))[order], np.linalg.eigvalsh(tensors(moved[0])))


def tensors(per_atom):
    """(n, 3, 3) strain of the atoms, 0 where there is none."""
    xx, yy, zz, xy, yz, xz = (np.nan_to_num(per_atom[f"strain_{k}_pct"]) for k in TENSOR)
    return np.stack([xx, xy, xz, xy, yy, yz, xz, yz, zz], 1).reshape(-1, 3, 3)
