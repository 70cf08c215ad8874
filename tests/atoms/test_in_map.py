"""What a map says of its atoms: closed forms of Gaussian blobs, simulated potentials, what is refused."""

import numpy as np
import pytest

from perrin.atoms.density import simulate_density
from perrin.atoms.in_map import MAP_COLUMNS, atoms_in_map, ball, directions, fit_gaussians, values_at
from perrin.files.records import Map

PIXEL = 0.358
NEAREST = 3.9242 / np.sqrt(2)


def places(shells=8, a=3.9242, seed=0):
    """Atoms of a small fcc ball, turned and moved so that none lies on a voxel."""
    g = np.arange(-4, 5)
    p = np.stack(np.meshgrid(g, g, g, indexing="ij"), -1).reshape(-1, 3)
    p = p[(p.sum(1) % 2 == 0) & (np.square(p).sum(1) <= shells)] * a / 2
    turn, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    return p @ turn.T + np.array([0.11, -0.23, 0.31])


def blobs(xyz, covariance, height, side=64, background=0.0, pixel=PIXEL):
    """A map of Gaussians height exp(-d' U^-1 d / 2) on a constant background."""
    axis = (np.arange(side) - side // 2) * pixel
    z, y, x = np.meshgrid(axis, axis, axis, indexing="ij")
    out = np.full((side,) * 3, background)
    for place, U, h in zip(
        xyz, np.broadcast_to(covariance, (len(xyz), 3, 3)), np.broadcast_to(height, len(xyz))
    ):
        d = np.stack([x, y, z], -1) - place
        out += h * np.exp(-0.5 * np.einsum("...a,ab,...b->...", d, np.linalg.inv(U), d))
    return Map(out.astype(np.float32), pixel)


def test_width_height_and_directions_of_known_gaussians():
    """Would catch a variance that is a width, a precision, in voxels, or turned, or one with the background in it."""
    xyz = places()
    rng = np.random.default_rng(1)
    height = rng.uniform(0.5, 2, len(xyz))
    axes, _ = np.linalg.qr(rng.normal(size=(len(xyz), 3, 3)))
    U = np.einsum(
        "nab,nb,ncb->nac", axes, rng.uniform([0.11, 0.15, 0.19], [0.13, 0.17, 0.23], (len(xyz), 3)), axes
    )
    found, _ = atoms_in_map(blobs(xyz, U, height, background=-0.3), xyz, "Pt")
    wanted = directions(U)
    assert np.allclose(found["intensity"], height - 0.3, atol=0.02 * height.max())
    for name in ("u_major_A2", "u_middle_A2", "u_minor_A2"):
        assert np.allclose(found[name], wanted[name], rtol=0.01), name
    assert np.allclose(found["u_polar_deg"], wanted["u_polar_deg"], atol=6)
    assert found["blob_offset_A"].max() < 0.01
    assert found["fit_correlation_anisotropic"].min() > 0.99


def test_isotropic_width_over_a_wide_range():
    """Would catch a fit that starts from one width and stays near it."""
    xyz = places()
    for variance in (0.06, 0.12, 0.3):
        found, _ = atoms_in_map(blobs(xyz, variance * np.eye(3), 1.0, 48), xyz, "Pt")
        inner = np.isfinite(found["u_iso_A2"])
        assert inner.all() and np.allclose(
            found["u_iso_A2"], variance, rtol=0.05 if variance > 0.25 else 0.01
        ), variance
        assert abs(found["u_iso_excess_A2"]).max() < 0.02


def test_a_simulated_density_is_recognised_and_a_misplaced_atom_is_not():
    """Would catch a correlation against another atom's density, another origin, or axes in another order."""
    xyz = places()
    density = simulate_density(xyz, "Pt", 64, PIXEL, b_A2=5.0)
    found, whole = atoms_in_map(density, xyz, "Pt")
    assert whole["density_b_A2"] == pytest.approx(5.0, abs=0.1)
    assert found["validity"].min() > 0.999
    assert found["validity_authors"].min() < found["validity"].min()
    assert np.nanmax(abs(found["u_iso_excess_A2"])) < 0.05 * np.nanmedian(found["u_iso_A2"])
    moved = xyz.copy()
    moved[0] += [0.6, -0.6, 0.6]
    again, _ = atoms_in_map(density, moved, "Pt")
    assert again["validity"][0] < 0.5 < 0.9 < again["validity"][1:].min()
    assert again["intensity"][0] < 0.6 * found["intensity"][0]
    assert not again["blob_offset_A"][0] < 0.5


def test_a_missing_atom_has_no_width():
    """Would catch a number made up where the map is empty, or one that spoils its neighbours'."""
    xyz = places()
    found, _ = atoms_in_map(blobs(xyz[1:], 0.12 * np.eye(3), 1.0, 48), xyz, "Pt")
    assert np.isnan(found["u_iso_A2"][0]) and np.isnan(found["u_major_A2"][0])
    assert np.allclose(found["u_iso_A2"][1:], 0.12, rtol=0.01)


def test_errors_from_half_maps_are_those_of_the_widths():
    """Would catch an error that is wrong by the square root of 2 or 4 of the halves, or takes noise as white."""
    xyz = places()
    clean = blobs(xyz, 0.14 * np.eye(3), 1.0, 48).data
    rng = np.random.default_rng(2)
    from scipy.ndimage import gaussian_filter

    def noisy():
        noise = gaussian_filter(rng.normal(size=clean.shape), 1.0)
        return Map((clean + 0.03 * noise / noise.std()).astype(np.float32), PIXEL)

    pulls, snr = [], []
    for _ in range(5):
        halves = noisy(), noisy()
        whole = Map((halves[0].data + halves[1].data) / 2, PIXEL)
        found, _ = atoms_in_map(whole, xyz, "Pt", halves)
        pulls.append((found["u_iso_A2"] - 0.14) / found["u_iso_sigma_A2"])
        snr.append(found["intensity_snr"])
        assert 0.9 < found["halves_correlation"].mean() < 0.97
    assert np.nanstd(pulls) == pytest.approx(1, abs=0.15)
    assert np.mean(snr) == pytest.approx(1 / (0.03 / np.sqrt(2)), rel=0.1)


def test_turning_map_and_atoms_by_a_quarter_changes_nothing():
    """Would catch an axis of the map taken for another: the numbers belong to the atom, not to the box."""
    xyz = places()
    rng = np.random.default_rng(3)
    U = np.einsum("na,nb->nab", *[rng.normal(0, 0.15, (len(xyz), 3))] * 2) + 0.1 * np.eye(3)
    U = U[np.linalg.eigvalsh(U)[:, 2] > 0]
    density = blobs(xyz, U, 1.0, side=65)
    turned = Map(
        np.ascontiguousarray(density.data.transpose(1, 2, 0)), PIXEL
    )  # new (z, y, x) = old (y, x, z)
    first, _ = atoms_in_map(density, xyz, "Pt")
    second, _ = atoms_in_map(turned, xyz[:, [2, 0, 1]], "Pt")
    for name in set(MAP_COLUMNS) - {
        "u_azimuth_deg",
        "u_polar_deg",
        "intensity_snr",
        "halves_correlation",
        "u_iso_sigma_A2",
    }:
        assert np.allclose(first[name], second[name], rtol=2e-3, atol=2e-3, equal_nan=True), name


def test_edges_coarse_voxels_and_nothing():
    """Would catch an index out of the box, a fit of more unknowns than voxels, an empty model that ends the stage."""
    xyz = np.array([[0, 0, 0], [0, 0, 11.3], [40.0, 0, 0]])
    found, _ = atoms_in_map(blobs(xyz, 0.12 * np.eye(3), 1.0), xyz, "Pt")
    assert found["u_iso_A2"][:2] == pytest.approx([0.12, 0.12], rel=0.02)
    assert np.isnan(found["intensity"][2]) and np.isnan(found["u_iso_A2"][2])
    coarse, _ = atoms_in_map(blobs(xyz[:1], 0.3 * np.eye(3), 1.0, 24, pixel=0.9), xyz[:1], "Pt")
    assert np.isnan(coarse["u_major_A2"]).all() and coarse["intensity"][0] == pytest.approx(1, abs=0.02)
    nothing, whole = atoms_in_map(blobs(xyz, 0.12 * np.eye(3), 1.0), np.zeros((0, 3)), "Pt")
    assert set(nothing) == set(MAP_COLUMNS) and all(len(v) == 0 for v in nothing.values())
    assert np.isnan(whole["density_b_A2"])
    with pytest.raises(ValueError, match="other voxels"):
        atoms_in_map(
            blobs(xyz, 0.12 * np.eye(3), 1.0), xyz, "Pt", [blobs(xyz, 0.12 * np.eye(3), 1.0, 32)] * 2
        )


def test_ball_and_values():
    """Would catch a ball about the rounded place, or an interpolation in the wrong order of axes."""
    xyz = np.array([[1.0, -2.0, 0.5]])
    axis = (np.arange(32) - 16) * PIXEL
    z, y, x = np.meshgrid(axis, axis, axis, indexing="ij")
    density = Map((x + 10 * y + 100 * z).astype(np.float32), PIXEL)
    assert values_at(density, xyz)[0] == pytest.approx(1 - 20 + 50, abs=1e-3)
    values, offset, inside = ball(density, xyz, 1.0)
    wanted = np.sqrt((x - 1) ** 2 + (y + 2) ** 2 + (z - 0.5) ** 2) <= 1.0
    assert inside.sum() == wanted.sum()
    assert np.allclose(values[inside], (offset + xyz)[inside] @ [1, 10, 100], atol=1e-4)
    U, _, _ = fit_gaussians(values, offset, inside, False)
    assert np.isnan(U).all(), "a slope is no atom"
