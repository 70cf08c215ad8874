"""Which sites of a lattice are occupied: non-negative least squares on the frames themselves.

    b_j  = sum_f a_f <y_f, p(. - u_fj)>         N_jk = sum_f a_f^2 K(|P R_f (x_j - x_k)|)
    minimise  o' N o / 2 - b' o,  o >= 0

N depends on the lattice vector between two sites only, of which there are a few thousand.
"""

from dataclasses import dataclass

import numpy as np

from perrin.imaging.blobs import read
from perrin.imaging.pairs import vector_overlaps

PRESENT = 0.5  # of the common level: what holds an atom


@dataclass(frozen=True)
class Sites:
    """Lattice sites among which a particle's atoms are sought.

    xyz_A (n, 3); differences : their `difference_table`; expected : number of atoms, about
    """

    xyz_A: np.ndarray
    differences: tuple
    expected: float

    @classmethod
    def of(cls, xyz_A, expected):
        return cls(xyz_A, difference_table(xyz_A), expected)

    def take(self, rows):
        """Some of the sites, with as many atoms expected."""
        vectors, index = self.differences
        return Sites(self.xyz_A[rows], (vectors, index[np.ix_(rows, rows)]), self.expected)


def difference_table(xyz_A):
    """Distinct difference vectors of a set of lattice points: vectors (v, 3) and index (n, n) into them."""
    n = len(xyz_A)
    rounded = np.rint(xyz_A * 1000).astype(np.int64)
    low = rounded.min(0)
    span = 2 * (rounded.max(0) - low) + 1
    code = (rounded - low) @ np.array([span[1] * span[2], span[2], 1])
    difference = np.abs(code[:, None] - code[None, :])  # d and -d overlap alike
    _, first, index = np.unique(difference, return_index=True, return_inverse=True)
    row, column = np.divmod(first, n)
    return xyz_A[row] - xyz_A[column], index.reshape(n, n).astype(np.int32)


def site_equations(filtered, xyz_A, rotation, shift_A, amplitude, overlap, differences=None):
    """The normal equations b (n,), N (n, n) of all sites' occupancies from a stretch of frames.

    filtered : Filtered of these frames; rotation (f, 3, 3), shift_A (f, 2), amplitude (f,)
    differences : difference_table(xyz_A), to save its cost where sites are solved many times
    """
    vectors, index = difference_table(xyz_A) if differences is None else differences
    b = (read(filtered, xyz_A, rotation, shift_A).astype(float) * amplitude[:, None]).sum(0)
    return b, vector_overlaps(vectors, rotation, amplitude, overlap)[index]


def point_equations(filtered, xyz_A, rotation, shift_A, amplitude, overlap):
    """As site_equations, for points anywhere: all pairs are summed one by one."""
    b = (read(filtered, xyz_A, rotation, shift_A).astype(float) * amplitude[:, None]).sum(0)
    n = len(xyz_A)
    j, k = np.triu_indices(n)
    N = np.empty((n, n))
    N[j, k] = vector_overlaps(xyz_A[j] - xyz_A[k], rotation, amplitude, overlap)
    N[k, j] = N[j, k]
    return b, N


def point_occupancies(filtered, xyz_A, rotation, shift_A, amplitude, overlap, there=None):
    """Occupancies of points anywhere, the common level of those that are occupied at 1, and that level.

    there : number of points that hold an atom, about; None: most of them do
    returns o (n,), level : what the amplitudes of the frames lack
    """
    o = nonnegative_solution(*point_equations(filtered, xyz_A, rotation, shift_A, amplitude, overlap))
    level = np.median(np.sort(o)[-(there or len(o) - len(o) // 2) :])
    return o / level, float(level)


def nonnegative_solution(b, N, iterations=400, ridge=1e-3, tolerance=1e-5, start=None, most=np.inf):
    """Minimise o' N o / 2 - b' o over 0 <= o <= most by accelerated projected gradients (FISTA with restart).

    ridge : added to the diagonal, as a share of its mean; start : (n,) first guess
    """
    N = N + ridge * np.mean(np.diag(N)) * np.eye(len(b))
    vector = np.ones(len(b))
    for _ in range(30):
        vector = N @ vector
        vector /= np.linalg.norm(vector)
    step = 0.95 / (vector @ (N @ vector))
    o = np.zeros(len(b)) if start is None else np.array(start, float)
    y, momentum = o, 1.0
    for _ in range(iterations):
        new = np.clip(y - step * (N @ y - b), 0, most)
        if (y - new) @ (new - o) > 0:
            momentum = 1.0
        following = (1 + np.sqrt(1 + 4 * momentum**2)) / 2
        y = new + (momentum - 1) / following * (new - o)
        moved = np.abs(new - o).max()
        o, momentum = new, following
        if moved < tolerance * max(o.max(), 1e-12):
            break
    return o


def bounded_solution(b, N, expected, start, halvings=8):
    """The same where no site holds more than one atom, and all of them so many atoms as are expected.

    Seen from a narrow range of directions, four atoms of a column that are too bright explain the frames as well as
    five. What all sites hold together follows from the particle's size, and so does what one of them may hold.
    start : (n,) the solution without a bound
    returns o (n,), the bound
    """
    low, high = 0.4 * start.max(), start.max()
    o = start
    for _ in range(halvings):
        most = (low + high) / 2
        o = nonnegative_solution(b, N, start=np.minimum(o, most), most=most)
        low, high = (most, high) if o.sum() > expected * most else (low, most)
    return o, most


def plateau(occupancy, expected):
    """The common level of occupied sites: median of the larger half of the expected number of atoms."""
    top = np.sort(occupancy)[::-1][: max(int(expected) // 2, 5)]
    return float(np.median(top))


def grey_share(occupancy):
    """Share of sites with an occupancy between 0.25 and 0.75 among those above 0.25 (of a plateau at 1)."""
    some = occupancy > 0.25
    return float(((occupancy < 0.75) & some).sum() / max(some.sum(), 1))
