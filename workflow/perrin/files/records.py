"""The three things that travel together between rooms: poses, maps, atoms.

Inside the library every coordinate is counted from the box centre (index n // 2 of each axis);
only the writers of `perrin.files` convert to the convention of files (centre of voxel 0, 0, 0).
"""

from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Poses:
    """Where the body was in each frame.

    frame : (n,) int, frame of the movie, from 0
    quaternion : (n, 4) float64, unit, scalar first; the rotation R takes body to microscope, r_lab = R r_body
    shift_A : (n, 2) float64, angstrom; where the body's origin appears, (x, y) from the box centre
    amplitude : (n,) float64, factor on the model's projection in units of the frame's noise
    sigma_deg : (n,) float64, one standard deviation of the orientation about one axis
    """

    frame: np.ndarray
    quaternion: np.ndarray
    shift_A: np.ndarray
    amplitude: np.ndarray
    sigma_deg: np.ndarray

    def __len__(self):
        return len(self.frame)

    def take(self, rows):
        """The poses of the given rows (index array, slice or mask)."""
        return Poses(
            self.frame[rows],
            self.quaternion[rows],
            self.shift_A[rows],
            self.amplitude[rows],
            self.sigma_deg[rows],
        )


@dataclass(frozen=True)
class Map:
    """A density map: data (z, y, x) float32, cubic, on voxels of pixel_A angstrom."""

    data: np.ndarray
    pixel_A: float


@dataclass(frozen=True)
class Atoms:
    """An atomic model.

    xyz_A : (n, 3) float64, angstrom from the box centre, columns x, y, z
    occupancy : (n,) float64
    covariance_A2 : (n, 3, 3) float64, square angstrom; NaN where unknown
    probability : (n,) float64, that the atom exists
    element : chemical symbol, one for all
    extra : further columns by name, each (n,), carried into tables (e.g. "cn")
    """

    xyz_A: np.ndarray
    occupancy: np.ndarray
    covariance_A2: np.ndarray
    probability: np.ndarray
    element: str
    extra: dict = field(default_factory=dict)

    def __len__(self):
        return len(self.xyz_A)

    @property
    def sigma_A(self):
        """(n, 3) standard deviations along x, y, z."""
        return np.sqrt(np.diagonal(self.covariance_A2, axis1=1, axis2=2))

    def take(self, rows):
        """The atoms of the given rows (index array, slice or mask)."""
        return Atoms(
            self.xyz_A[rows],
            self.occupancy[rows],
            self.covariance_A2[rows],
            self.probability[rows],
            self.element,
            {name: np.asarray(values)[rows] for name, values in self.extra.items()},
        )
