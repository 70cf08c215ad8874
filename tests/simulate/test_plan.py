"""The planning tool: its bound scales as it must, and says what a fit to simulated frames then reaches."""

import numpy as np
import pytest

from perrin.__main__ import main
from perrin.files.tables import read_table
from perrin.imaging import lattice
from perrin.simulate import plan


def test_crystals_are_round_and_of_the_size_asked_for():
    """Would catch a crystal with holes, off its centre, or of another lattice."""
    for element, n, nearest in (("Pt", 201, 3.9242 / 2**0.5), ("Fe", 113, None), ("Co", 80, None)):
        xyz = plan.crystal(element, n)
        assert xyz.shape == (n, 3) and np.linalg.norm(xyz.mean(0)) < 1.0
        apart = np.linalg.norm(xyz[:, None] - xyz[None], axis=2) + 99 * np.eye(n)
        metal = plan.look_up(element)
        expected = nearest or lattice.nearest_distance(metal.system, metal.lattice_A)
        assert apart.min() == pytest.approx(expected, rel=0.02)


def test_the_bound_scales_with_dose_and_holds_for_a_known_case():
    """Would catch an amplitude that is not that of the square root of the dose. Along a lone atom's image, with the
    pose known, the error is 1 / (amplitude sqrt(frames <(dp/dx)^2>)); many atoms far apart in many views are near it.
    """
    xyz = plan.crystal("Pt", 19)
    one = plan.window(xyz, 240, 12.0, 1.0, 0.358, 3)
    two = plan.window(xyz, 240, 12.0, 2.0, 0.358, 3)
    # all of the bound but the prior on occupancies, which strong frames outweigh
    assert one["sigma_A"].mean() / two["sigma_A"].mean() == pytest.approx(2, rel=0.1)
    assert two["nats"] == pytest.approx(4 * one["nats"])
    assert one["occupancy"].mean() == pytest.approx(2 * two["occupancy"].mean(), rel=0.01)
    slow = plan.window(xyz, 240, 0.5, 1.0, 0.358, 3)
    assert slow["sigma_A"].mean() > 2 * one["sigma_A"].mean(), "few views know little"
    assert slow["fourier_coverage"] < one["fourier_coverage"]


def test_the_command_prints_and_writes(tmp_path, capsys):
    """Would catch a command that dies, limits that are not said, or a table that is not that on the terminal."""
    arguments = ["plan", "--atoms", "19", "--frames", "80", "--paths", "2", "--rotation", "8"]
    table, figure = tmp_path / "plan.csv", tmp_path / "plan.svg"
    assert main([*arguments, "--csv", str(table), "--figure", str(figure)]) == 0
    said = capsys.readouterr().out
    rows = read_table(table)
    assert rows["frames"].tolist() == [20, 40, 80, 160]
    assert (np.diff(rows["sigma_A"]) < 0).all() and (rows["sigma_best_path_A"] <= rows["sigma_A"]).all()
    assert f"| 80 | 0.2 | {rows['sigma_A'][2]:.3f} |" in said and "nats of the particle" in said
    assert "<svg" in figure.read_text(encoding="utf-8")
    assert main(["plan", "--atoms", "7"]) == 1
    assert "--atoms is 7; valid are numbers from 13 to 3000" in capsys.readouterr().err
    assert main([*arguments, "--figure", "plan.pdf"]) == 1
    assert main([*arguments, "--element", "Xx"]) == 1
