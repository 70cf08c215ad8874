"""The table of metals: what is in it, and what a user who adds one is told."""

import numpy as np
import pytest
import yaml
from ase.data import atomic_numbers, reference_states

from perrin.files.elements import TABLE, element, elements
from perrin.files.errors import InputError

WANTED = ["Pt", "Au", "Pd", "Ag", "Cu", "Ni", "Rh", "Ir", "Al", "Fe", "Mo", "W", "Co", "Ru", "Ti"]


@pytest.mark.parametrize("symbol", WANTED)
def test_constants_agree_with_an_independent_table(symbol):
    """Would catch a typing error: system, lattice and c/a against ASE's table, 1 %; radius against the lattice."""
    metal, reference = element(symbol), reference_states[atomic_numbers[symbol]]
    assert metal.system == reference["symmetry"]
    assert metal.lattice_A == pytest.approx(reference["a"], rel=0.01)
    a = metal.lattice_A
    if metal.system == "hcp":
        assert metal.c_over_a == pytest.approx(reference["c/a"], rel=0.01)
        nearest = (a + np.hypot(a / np.sqrt(3), a * metal.c_over_a / 2)) / 2
    else:
        assert metal.c_over_a is None
        nearest = a / np.sqrt(2) if metal.system == "fcc" else a * np.sqrt(3) / 2
    assert metal.radius_A == pytest.approx(nearest / 2, abs=0.0006)


def test_authors_values():
    """Would catch the published constants taking the place of the physical ones, or the other way round."""
    platinum = element("pt")
    assert (platinum.lattice_A, platinum.authors_lattice_A, platinum.authors_radius_A) == (
        3.9242,
        3.912,
        1.10,
    )
    assert element("Co").authors_lattice_A is None


def test_every_value_has_a_source():
    """Would catch a constant that nobody can trace."""
    for symbol, entry in yaml.safe_load(TABLE.read_text()).items():
        assert set(entry) - {"source"} == set(entry["source"]), symbol


def test_unknown_element_is_refused_with_the_way_to_add_it():
    """Would catch a KeyError, or a default lattice taken for an element that is not known."""
    with pytest.raises(InputError, match=r"'Xx'.*Ag, Al.*config/elements.yaml"):
        element("Xx")
    assert elements() == sorted(WANTED)


def test_an_entry_that_a_user_adds_is_checked(tmp_path):
    """Would catch a half-filled entry that ends in a crash far away."""
    good = {"system": "hcp", "lattice_A": 2.735, "c_over_a": 1.58, "radius_A": 1.34}
    good["source"] = dict.fromkeys(good, "a handbook")

    def added(name, **changes):
        table = tmp_path / f"{name}.yaml"
        entry = {key: value for key, value in (good | changes).items() if value is not None}
        table.write_text(yaml.safe_dump({"Os": entry}))
        return table

    assert element("Os", added("good")).c_over_a == 1.58
    for name, changes, message in [
        ("a", {"system": "cubic"}, "fcc, bcc, hcp"),
        ("b", {"lattice_A": "2.7 A"}, "lattice_A is '2.7 A'"),
        ("c", {"c_over_a": None}, "c_over_a is None"),
        ("d", {"radius": 1.3}, "unknown key radius"),
        ("e", {"authors_radius_A": 1.44}, "authors_radius_A has no source"),
    ]:
        with pytest.raises(InputError, match=message):
            element("Os", added(name, **changes))
