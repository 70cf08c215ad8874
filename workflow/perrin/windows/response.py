"""How intensity adds up where atoms lie over each other: measured, not assumed.

In a dense column an atom more adds less than an atom alone: scattering is not linear. With y = b / (a K(0)) the
intensity read at a site and m the overlap of all atoms present there in units of K(0), a linear image has E[y] = m
and a variance 1 / (a^2 K(0)). The movie itself holds some hundred thousand pairs of y and m, and gives both curves:
the mean S(m) and the factor V(m) by which the variance exceeds that of the noise.
"""

from dataclasses import dataclass

import numpy as np

FIRST, STEP, KNOTS = -1.0, 0.5, 21  # from -1 to 9 atoms
BEND = 0.05  # standard deviation of a change of slope from knot to knot, where no data say otherwise


@dataclass(frozen=True)
class Response:
    """Piecewise linear curves on a uniform grid of overlaps, continued as straight lines.

    mean : (KNOTS,) expected intensity, 0 and 1 of it at no atom and one; scatter : (KNOTS,) variance over the noise's
    """

    mean: np.ndarray
    scatter: np.ndarray

    def expected(self, m):
        """S(m), intensity in units of one atom's."""
        return _read(self.mean, m)

    def worth(self, y, others):
        """Log-likelihood ratio of an atom more at a site, in units of the information a^2 K(0) of a frame.

        y : intensity read there; others : overlap of the other atoms there
        """
        without, added = self.expected(others), self.expected(others + 1)
        gain = added - without
        return (y - without - gain / 2) * gain / _read(self.scatter, others + 0.5)

    def as_record(self):
        """Dict of the overlaps, the intensities expected and the scatter, for a JSON file."""
        curves = (linear().mean, self.mean, self.scatter)
        return {name: np.round(c, 4).tolist() for name, c in zip(("overlap", "intensity", "scatter"), curves)}

    def standardised(self, y, m):
        """Deviations of intensities y from what is expected at overlaps m, for an information of 1."""
        return (y - self.expected(m)) / np.sqrt(_read(self.scatter, m))


def linear():
    """The response of an image that is linear in its atoms."""
    return Response(FIRST + STEP * np.arange(KNOTS), np.ones(KNOTS))


def fit_response(y, m, information):
    """Response that the intensities y at overlaps m show, every one with a variance of 1 / information.

    y, m : arrays of one shape, in units of one atom; information : of that shape, 0 where nothing counts
    """
    line = linear()
    mean = line.mean + _smooth(m, y - m, information)
    at_0, at_1 = _read(mean, np.array([0.0, 1.0]))
    if at_1 - at_0 < 0.5:  # what was taken to be present is not: nothing can be learned
        return line
    # the height of one atom belongs to the amplitude
    mean = (mean - at_0) / (at_1 - at_0)
    squared = information * np.square(y - at_0 - (at_1 - at_0) * _read(mean, m))
    # a squared residual of white noise has a mean of 1 and a variance of 2
    scatter = 1 + _smooth(m, squared - 1, np.where(information > 0, 0.5, 0.0))
    return Response(mean, np.maximum(scatter, 1.0))


def _smooth(m, value, weight):
    """(KNOTS,) curve through the values: weighted least squares, with a prior on its changes of slope and on zero."""
    place, share = (np.ravel(one) for one in _place(m))
    w, v = np.ravel(weight).astype(float), np.ravel(value).astype(float)
    low, high = w * (1 - share), w * share

    def at_knots(knot, amount):
        return np.bincount(knot, amount, KNOTS)

    matrix = np.diag(at_knots(place, low * (1 - share)) + at_knots(place + 1, high * share))
    beside = at_knots(place, low * share)[:-1]
    matrix += np.diag(beside, 1) + np.diag(beside, -1)
    bend = np.diff(np.eye(KNOTS), 2, axis=0) / BEND
    right = at_knots(place, low * v) + at_knots(place + 1, high * v)
    return np.linalg.solve(matrix + bend.T @ bend + np.eye(KNOTS), right)


def _place(m):
    """Knot below each overlap, and how far it lies beyond it: (index, share of a step), beyond the ends too."""
    at = (np.asarray(m, np.float32) - np.float32(FIRST)) / np.float32(STEP)
    place = np.clip(at.astype(np.int32), 0, KNOTS - 2)
    return place, at - place


def _read(curve, m):
    place, share = _place(m)
    slope = np.diff(curve).astype(np.float32)
    return curve.astype(np.float32)[place] + share * slope[place]
