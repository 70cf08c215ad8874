"""An atom's image: against the linear theory of weak phases, and its change with height against a moved focus."""

import gemmi
import numpy as np
import pytest
from scipy.special import j0

from perrin.imaging import optics
from perrin.imaging.optics import C3_A, atom_image, depth_profiles, radial, scherzer_A
from perrin.imaging.profile import Profile


def weak_phase(element, focus, c3):
    """2 sigma F^-1[V(k) sin chi(k)], by a Hankel sum: another way to the same number where phases are small."""
    form = gemmi.Element(element).c4322
    k = np.linspace(0, 6, 6001)
    transform = optics.POTENTIAL * sum(
        a * np.exp(-(b + optics.VIBRATION_A2) * k**2 / 4) for a, b in zip(form.a, form.b)
    )
    chi = np.pi * optics.WAVELENGTH_A * focus * k**2 + 0.5 * np.pi * c3 * optics.WAVELENGTH_A**3 * k**4
    r = np.array([0.0, 0.4, 0.8, 1.6])
    return r, 2 * optics.SIGMA * np.trapezoid(
        2 * np.pi * k * transform * np.sin(chi) * j0(2 * np.pi * k * r[:, None]), k
    )


def test_a_light_atom_is_a_weak_phase():
    """Would catch a wrong sign of the aberrations, units of the potential, or the interaction constant."""
    r, linear = weak_phase("C", scherzer_A(), -C3_A)
    places, image = radial(atom_image("C", scherzer_A(), -C3_A))
    at = np.interp(r, places, image)
    np.testing.assert_allclose(at, linear, atol=0.12 * abs(linear[0]))
    assert linear[0] > 0  # bright: the reason why microscopes are set so


def test_polarity_follows_the_signs():
    """Would catch a dark movie treated as the negative of a bright one."""
    bright = radial(atom_image("Pt", scherzer_A(), -C3_A))[1]
    dark = radial(atom_image("Pt", -scherzer_A(), C3_A))[1]
    assert bright[0] > 0 > dark[0]
    assert abs(bright[0] + dark[0]) > 0.05  # a heavy atom is no weak phase


@pytest.mark.parametrize("polarity", ["bright", "dark"])
def test_change_with_height_is_that_of_the_focus(polarity):
    """Would catch a change of the wrong sign: an atom further along the beam is nearer to the plane in focus."""
    like = Profile(np.array([0.30, 0.42, 0.60]), np.array([0.5, 1.3, -1.2]), 0.2)
    image, change, facts = depth_profiles("Pt", polarity, like)
    assert image.value(0.0) == pytest.approx(1)
    sign = 1 if polarity == "bright" else -1
    r, here = radial(atom_image("Pt", facts["focus_A"], -sign * C3_A, facts["blur_A2"]))
    _, lifted = radial(atom_image("Pt", facts["focus_A"] - 1.0, -sign * C3_A, facts["blur_A2"]))
    _, lowered = radial(atom_image("Pt", facts["focus_A"] + 1.0, -sign * C3_A, facts["blur_A2"]))
    wanted = sign * (lifted - lowered) / 2.0
    raw = optics._as_gaussians(r, wanted, 0.2)
    height = float(optics._as_gaussians(r, sign * here, 0.2).value(0.0))
    places = np.array([0.0, 0.3, 0.6, 0.9])
    np.testing.assert_allclose(change.value(places), raw.value(places) / height, atol=0.002)
