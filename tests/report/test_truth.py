"""Found against truth: recall, precision, rmsd and boundaries of planted differences."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from small_run import crystal

from perrin.files.elements import element
from perrin.report.truth import boundaries, match


@pytest.mark.parametrize("seed", range(4))
def test_match_counts_what_was_planted(seed):
    """Would catch a wrong placement among the crystal's own rotations, the wrong hand, or counts swapped: from 157
    atoms of known positions 5 are left out, 3 false ones added, all moved, turned and (odd seeds) mirrored.
    """
    rng, true = np.random.default_rng(seed), crystal()[20:]
    kept = true[np.sort(rng.permutation(len(true))[5:])] + rng.normal(0, 0.1, (len(true) - 5, 3))
    false = np.array([[12.0, 0, 0], [0, 12.5, 0], [0, 0, -13.0]])
    found = np.concatenate([kept, false]) * (-1) ** seed
    found = found @ Rotation.random(rng=rng).as_matrix().T + rng.uniform(-20, 20, 3)
    said = match(found, true, element("Pt"), match_A=1.0)
    assert (said["true_atoms"], said["found_atoms"], said["matched"]) == (157, 155, 152)
    assert said["recall_pct"] == pytest.approx(100 * 152 / 157)
    assert said["precision_pct"] == pytest.approx(100 * 152 / 155)
    assert said["rmsd_A"] == pytest.approx(0.1 * np.sqrt(3), rel=0.12)
    assert said["hand"] == ("mirrored" if seed % 2 else "as true")


def test_nothing_that_fits_is_no_match():
    """Would catch a crash, or recall out of nothing, where the atoms found are no crystal at all."""
    rng = np.random.default_rng(0)
    said = match(rng.uniform(-8, 8, (3, 3)), crystal(), element("Pt"), match_A=1.0)
    assert said["matched"] <= 3 and said["recall_pct"] < 2


def test_boundaries_are_paired_with_the_nearest():
    """Would catch a found boundary used twice, and missed or false ones that are not said."""
    assert boundaries([510, 700], [500]) == [
        {"true": 500, "found": 510, "off": 10},
        {"true": None, "found": 700, "off": None},
    ]
    assert boundaries([510], [500, 900])[1] == {"true": 900, "found": None, "off": None}
    assert boundaries([], []) == []
