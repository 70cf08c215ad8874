"""Thresholding by coordination on perfect crystals, whose numbers are known, and on planted debris."""

import numpy as np
import pytest
from ase.cluster import Octahedron

from perrin.atoms.coordination_threshold import (
    bound,
    contacts,
    kept_by_coordination,
    threshold_by_coordination,
)
from perrin.files.errors import InputError
from perrin.files.records import Atoms
from perrin.imaging.lattice import sites

A = 3.912


def atoms(xyz, radius_A=1.0, element="Pt"):
    n = len(xyz)
    radius = np.broadcast_to(radius_A, n).astype(float)
    extra = {"radius_A": radius, "place": np.arange(n)}
    return Atoms(np.asarray(xyz, float), np.ones(n), np.full((n, 3, 3), np.nan), np.ones(n), element, extra)


def octahedron(length, cutoff=0):
    return Octahedron("Pt", length, cutoff, latticeconstant=A).positions


def sphere(radius_A):
    return sites("fcc", A, radius_A)


CLUSTERS = {
    # name: (points, atoms, T of the program before its cap, after it, candidates, removed)
    "sphere 321": (sphere(10), 321, 7, 6, 40, 0),
    "truncated octahedron 201": (octahedron(7, 2), 201, 7, 6, 24, 0),
    "truncated octahedron 586": (octahedron(10, 3), 586, 8, 6, 62, 0),
    "octahedron 344": (octahedron(8), 344, 8, 6, 52, 6),
    "cuboctahedron 309": (octahedron(9, 4), 309, 8, 6, 44, 0),
    "sphere 627": (sphere(13), 627, 7, 6, 92, 0),
}


@pytest.mark.parametrize("name", CLUSTERS)
def test_the_program_on_perfect_clusters(name, monkeypatch):
    """The table of known answers: bound before and after the cap, candidates, removals, contact radius.

    The table's candidates come from round-off within shells of equal distance; here whole shells are taken.
    """
    xyz, n, uncapped, capped, candidates, removed = CLUSTERS[name]
    assert len(xyz) == n
    kept, facts = kept_by_coordination(atoms(xyz), A, "program")
    assert facts["contact_A"] == pytest.approx(3.504, abs=1e-3)
    assert (facts["bound"], int((~kept).sum())) == (capped, removed)
    share = facts["outermost"] / n
    assert facts["outermost"] >= candidates
    assert share >= 0.149
    monkeypatch.setattr("perrin.atoms.coordination_threshold.PROGRAM_CAP", 12)
    assert bound(contacts(xyz, 3.504), "program") == uncapped


def test_the_papers_bound_is_one_that_95_percent_reach():
    """The program stops one step higher (7 for the sphere of 321); mixing the two up shows here."""
    assert kept_by_coordination(atoms(sphere(10)), A)[1]["bound"] == 6
    cn = np.r_[np.full(95, 9), np.full(5, 3)]
    assert bound(cn) == 9
    assert bound(np.r_[cn, 3]) == 3


def test_tips_of_an_octahedron_go_and_nothing_else():
    """CN 4 < T - 1 at the rim: exactly the six corners, in the paper's words (T = 7) and the program's (6)."""
    xyz = octahedron(8)
    for variant in ("paper", "program"):
        kept, _ = kept_by_coordination(atoms(xyz), A, variant)
        lost = xyz[~kept] - xyz.mean(0)
        assert len(lost) == 6
        assert contacts(xyz, 3.4)[~kept].tolist() == [4] * 6
        assert np.linalg.norm(lost, axis=1) == pytest.approx(np.linalg.norm(xyz - xyz.mean(0), axis=1).max())


def test_debris_goes_and_columns_stay_with_their_atoms():
    """Three lone atoms outside a sphere are removed; columns of the others must not be renumbered."""
    xyz = np.r_[sphere(10)[:100], [[13.5, 0, 0], [0, 13.5, 1], [-9, -9, 6.0]], sphere(10)[100:]]
    got = threshold_by_coordination(atoms(xyz), A)
    assert got.extra["place"].tolist() == [*range(100), *range(103, 324)]
    assert got.xyz_A == pytest.approx(xyz[got.extra["place"]])


def test_inner_atoms_are_never_judged():
    """An interior atom without neighbours (a hole around it) stays: only the outermost 15 % are considered."""
    xyz = sphere(12)
    distance = np.linalg.norm(xyz, axis=1)
    xyz = xyz[(distance < 0.1) | (distance > 4.5)]
    kept, _ = kept_by_coordination(atoms(xyz, radius_A=0.1), A)
    assert kept[np.linalg.norm(xyz, axis=1) < 0.1].all()


def test_a_removal_takes_its_neighbours_contacts():
    """Rule two iterates: of three adatoms on a sphere of 201 two have CN 5 < T = 6, the third has 6 until they go.

    A single pass, or contacts counted once, would leave the third; with large segments all stay.
    """
    adatoms = A * np.array([[-2.5, -0.5, 0], [-2.5, 0, -0.5], [-2.5, 0, 0.5]])
    xyz = np.r_[sphere(9), adatoms]
    assert contacts(xyz, 3.339)[-3:].tolist() == [6, 5, 5]
    size = np.r_[np.ones(201), np.full(3, 0.3)]
    kept, facts = kept_by_coordination(atoms(xyz, size), A)
    assert (facts["bound"], facts["removed_by_contacts"], facts["removed_by_size"]) == (6, 0, 3)
    assert kept[:201].all()
    assert kept_by_coordination(atoms(xyz), A)[0].all()


def test_off_and_unknown_variants():
    """Off keeps everything; a misspelt variant must not be taken for another one."""
    assert len(threshold_by_coordination(atoms(octahedron(8)), A, "off")) == 344
    with pytest.raises(InputError, match="papre"):
        threshold_by_coordination(atoms(sphere(8)), A, "papre")
    assert len(threshold_by_coordination(atoms(np.zeros((0, 3))), A)) == 0


def test_bcc_counts_eight_neighbours():
    """The midpoint rule must follow the system: the fcc formula gives bcc iron no neighbour at all."""
    iron = sites("bcc", 2.856, 9)
    _, facts = kept_by_coordination(atoms(iron, element="Fe"), 2.856)
    assert facts["contact_A"] == pytest.approx(2.665, abs=1e-3)
    assert contacts(iron, facts["contact_A"]).max() == 8
