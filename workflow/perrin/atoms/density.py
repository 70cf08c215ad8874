"""The electrostatic potential of a set of atoms on a grid, as electrons see it.

    V(r) = C sum_i a_i / B_i^(3/2) exp(-4 pi^2 r^2 / B_i),   B_i = b_i + B,   C = 47.878 V A^2 (4 pi)^(3/2)

a_i, b_i : electron scattering factors f(s) = sum_i a_i exp(-b_i s^2), five Gaussians (International Tables C,
table 4.3.2.2, from gemmi); B : how much wider the atom is in the map. The published program takes
B = (4 d)^2 with the period d of two voxels, 8.2 square angstrom at 0.358 angstrom.
"""

import gemmi
import numba
import numpy as np

from perrin.files.errors import InputError
from perrin.files.records import Map

VOLT_A2 = 47.878  # h^2 / (2 pi m e): scattering factor in angstrom to potential in volt cubic angstrom
SCALE = VOLT_A2 * (4 * np.pi) ** 1.5
REACH_PX = 8  # an atom's density ends here; published


def published_b(pixel_A):
    """The published width B of atoms in a simulated map, square angstrom: (4 * 2 * pixel_A)^2."""
    return (8 * pixel_A) ** 2


def scattering_gaussians(element):
    """(5,) a in angstrom and (5,) b in square angstrom of an element's electron scattering factor."""
    known = gemmi.Element(element)
    if known.atomic_number == 0 or known.c4322 is None:
        raise InputError(f"element {element!r} has no electron scattering factors; give a chemical symbol")
    return np.array(known.c4322.a), np.array(known.c4322.b)


def _gaussians(element, b_A2):
    """Heights (volt) and exponents (1 / square angstrom) of the atom's Gaussians."""
    a, b = scattering_gaussians(element)
    return SCALE * a / (b + b_A2) ** 1.5, 4 * np.pi**2 / (b + b_A2)


def potential(r_A, element, b_A2):
    """V at distance r_A (any shape, angstrom) from an atom blurred by B = b_A2; volt."""
    height, exponent = _gaussians(element, b_A2)
    return np.exp(-np.square(r_A)[..., None] * exponent) @ height


@numba.njit(cache=True, fastmath=True)
def _add_atoms(out, centre, weight, height, exponent, reach):
    """Add atoms at centre (voxels, z y x) to out; exponents per square voxel, reach in voxels."""
    n, terms = out.shape[0], len(height)
    size = int(2 * reach) + 3
    e = np.empty((3, size, terms))
    first = np.empty(3, np.int64)
    last = np.empty(3, np.int64)
    for j in range(len(centre)):
        for axis in range(3):
            first[axis] = max(0, int(np.ceil(centre[j, axis] - reach)))
            last[axis] = min(n - 1, int(np.floor(centre[j, axis] + reach)))
            for i in range(first[axis], last[axis] + 1):
                d = i - centre[j, axis]
                for m in range(terms):
                    e[axis, i - first[axis], m] = np.exp(-exponent[m] * d * d)
        for z in range(first[0], last[0] + 1):
            dz = z - centre[j, 0]
            for y in range(first[1], last[1] + 1):
                dy = y - centre[j, 1]
                left = reach * reach - dz * dz - dy * dy
                if left < 0:
                    continue
                half = np.sqrt(left)
                x0 = max(first[2], int(np.ceil(centre[j, 2] - half)))
                x1 = min(last[2], int(np.floor(centre[j, 2] + half)))
                for m in range(terms):
                    common = weight[j] * height[m] * e[0, z - first[0], m] * e[1, y - first[1], m]
                    for x in range(x0, x1 + 1):
                        out[z, y, x] += common * e[2, x - first[2], m]


def simulate_density(xyz_A, element, box_px, pixel_A, b_A2=None, occupancy=None, reach_A=None):
    """The map of atoms: every voxel holds the potential at its centre, volt.

    xyz_A : (n, 3), angstrom from the box centre (x, y, z); atoms outside the box add what reaches into it
    element : chemical symbol; box_px : side of the map; pixel_A : of a voxel
    b_A2 : width B, square angstrom; None: as published, (8 pixel_A)^2
    occupancy : (n,) factor on each atom; None: 1
    reach_A : radius of the ball that an atom fills; None: 8 voxels, as published (there a cylinder, without
        effect: at that distance 0.0002 of the height is left)
    returns Map
    """
    xyz = np.asarray(xyz_A, float).reshape(-1, 3)
    b = published_b(pixel_A) if b_A2 is None else float(b_A2)
    height, exponent = _gaussians(element, b)
    weight = np.ones(len(xyz)) if occupancy is None else np.ascontiguousarray(occupancy, float)
    reach = REACH_PX if reach_A is None else reach_A / pixel_A
    out = np.zeros((box_px,) * 3)
    centre = np.ascontiguousarray(xyz[:, ::-1] / pixel_A + box_px // 2)
    _add_atoms(out, centre, weight, height, exponent * pixel_A**2, float(reach))
    return Map(out.astype(np.float32), pixel_A)


def scale_to(simulated, density, inside=None):
    """The factor that brings a simulated map nearest to a measured one (least squares, free offset).

    inside : (n, n, n) bool, voxels that count; None: all
    """
    a, b = simulated.data, density.data
    a, b = (a.ravel(), b.ravel()) if inside is None else (a[inside], b[inside])
    spread = a - a.mean(dtype=np.float64)
    total = float(np.dot(spread, spread))
    return float(np.dot(spread, b)) / total if total > 0 else 0.0


def scaled_to(simulated, density, inside=None):
    """A simulated map in the units of a measured one: see `scale_to`; the background stays zero."""
    factor = np.float32(scale_to(simulated, density, inside))
    return Map(simulated.data * factor, simulated.pixel_A)
