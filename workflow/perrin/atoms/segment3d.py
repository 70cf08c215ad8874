"""Segments of a map: where it resembles an atom enough, cut into one piece an atom."""

import numpy as np
from scipy import fft, ndimage
from scipy.spatial import cKDTree
from skimage.segmentation import watershed

from perrin.atoms.density import simulate_density
from perrin.maps.mask import otsu

CLASSES = 20
ROUNDS = 10
FACES_EDGES_CORNERS = np.ones((3, 3, 3), bool)  # 26 neighbours


def low_pass(n, pixel_A, shortest_A, edge=3):
    """(n, n, n // 2 + 1) float32 weights of a map's rfftn: 1, a raised cosine over the last `edge` shells, 0.

    Zero frequency is left out, as published.
    """
    last = min(n // 2, int(np.floor(n * pixel_A / shortest_A + 0.5)))
    k = np.square(fft.fftfreq(n, 1 / n))
    radius = np.sqrt(k[:, None, None] + k[:, None] + np.square(fft.rfftfreq(n, 1 / n)))
    weight = 0.5 + 0.5 * np.cos(np.pi * np.clip((radius - (last - edge)) / edge, 0, 1))
    weight[0, 0, 0] = 0
    return weight.astype(np.float32)


def template_correlation(density, element, b_A2=None, shortest_A=1.0):
    """Cross-correlation of a map with one simulated atom, over the norms of both: about 1 / sqrt(N) at an atom.

    density : Map; shortest_A : both are low-passed here; b_A2 : width of the atom, see `simulate_density`
    returns (n, n, n) float32; a value belongs to an atom centred on that voxel
    """
    n = density.data.shape[0]
    weight = low_pass(n, density.pixel_A, shortest_A)
    atom = simulate_density(np.zeros((1, 3)), element, n, density.pixel_A, b_A2).data
    first = fft.rfftn(density.data) * weight
    second = fft.rfftn(fft.ifftshift(atom)) * weight
    whole = np.full(weight.shape[-1], 2.0)
    whole[0] = 1
    if n % 2 == 0:
        whole[-1] = 1
    norm = np.sqrt(np.sum(whole * np.abs(first) ** 2) * np.sum(whole * np.abs(second) ** 2))
    return (fft.irfftn(first * second.conj(), density.data.shape) * (n**3 / max(norm, 1e-30))).astype(
        np.float32
    )


def candidate_thresholds(correlation, classes=CLASSES):
    """Candidate thresholds, ascending: the smallest values of up to 20 classes of the voxels above Otsu's.

    Otsu's threshold is that of all positive voxels; the classes are those of k-means in one dimension, at most
    ten rounds, started from every (n / classes)-th of the sorted values. Empty classes are left out.
    """
    positive = correlation[correlation > 0]
    if len(positive) < 2 or positive.min() == positive.max():
        return np.zeros(0)
    values = np.sort(positive[positive > otsu(positive)].astype(float))
    if len(values) == 0:
        return np.zeros(0)
    total = np.r_[0, np.cumsum(values)]
    means = np.unique(values[(np.arange(classes) * len(values)) // classes])
    for _ in range(ROUNDS):
        edges = np.r_[0, np.searchsorted(values, (means[1:] + means[:-1]) / 2, "right"), len(values)]
        filled = np.diff(edges) > 0
        first, last = edges[:-1][filled], edges[1:][filled]
        new = (total[last] - total[first]) / (last - first)
        if len(new) == len(means) and np.array_equal(new, means):
            break
        means = new
    # the foot of a class is its smallest voxel; one is kept, for segments are what lies above a threshold
    return np.unique(np.nextafter(values[first].astype(np.float32), np.float32(-np.inf)))


def separated_peaks(correlation, pixel_A, least_A, above=0.0, limit=20000):
    """(m, 3) int (z, y, x): local maxima, highest first, none nearer than least_A to a higher one."""
    top = ndimage.maximum_filter(correlation, footprint=FACES_EDGES_CORNERS) == correlation
    peaks = np.argwhere(top & (correlation > above))
    order = np.argsort(correlation[tuple(peaks.T)], kind="stable")[::-1][:limit]
    peaks = peaks[order]
    if len(peaks) == 0:
        return peaks
    near = cKDTree(peaks).query_ball_point(peaks, least_A / pixel_A * (1 - 1e-9))
    alive = np.ones(len(peaks), bool)
    for j, others in enumerate(near):
        if alive[j]:
            for k in others:
                if k > j:
                    alive[k] = False
    return peaks[alive]


def components(correlation, threshold):
    """Connected segments above a threshold (26 neighbours): labels (n, n, n) int32 from 1, and their number."""
    return ndimage.label(correlation > threshold, FACES_EDGES_CORNERS, np.int32)


def split_segments(correlation, threshold, peaks):
    """Segments above a threshold, those that hold several peaks cut along the valleys (marker watershed).

    A segment without any of the peaks (a shoulder nearer to a higher peak than two atoms can be) belongs to nothing.
    returns labels (n, n, n) int32; label j + 1 belongs to peaks[j], 0 to nothing
    """
    markers = np.zeros(correlation.shape, np.int32)
    chosen = np.flatnonzero(correlation[tuple(peaks.T)] > threshold)
    markers[tuple(peaks[chosen].T)] = chosen + 1
    return watershed(-correlation, markers, FACES_EDGES_CORNERS, mask=correlation > threshold)


def relabelled(labels, least_voxels):
    """Labels 1..m without gaps, those of fewer voxels than least_voxels taken out; also the voxels of each."""
    count = np.bincount(labels.ravel())
    count[0] = 0
    stay = count >= max(least_voxels, 1)
    number = np.where(stay, np.cumsum(stay), 0).astype(np.int32)
    return number[labels], count[stay]


def centroids(density, labels, voxels):
    """(m, 3) intensity-weighted centres (z, y, x) of segments 1..m, in voxels.

    Negative density counts as none. A centre that falls outside its segment (a bent one) moves to the nearest of
    the segment's voxels.
    """
    where = np.nonzero(labels)
    label = labels[where] - 1
    weight = np.maximum(density[where], 0).astype(float)
    # a segment of nothing but negative density: all its voxels alike
    mass = np.bincount(label, weight, len(voxels))
    weight = np.where(mass[label] > 0, weight, 1.0)
    mass = np.bincount(label, weight, len(voxels))
    centre = np.stack([np.bincount(label, weight * axis, len(voxels)) for axis in where], 1) / mass[:, None]
    return inside_segments(centre, labels, where, label)


def inside_segments(centre, labels, where, label):
    """Centres (voxels), those whose nearest voxel is not of their segment moved to the segment's nearest one."""
    nearest = np.clip(np.rint(centre).astype(int), 0, np.array(labels.shape) - 1)
    out = np.flatnonzero(labels[tuple(nearest.T)] != np.arange(1, len(centre) + 1))
    centre = centre.copy()
    for j in out:
        own = np.stack([axis[label == j] for axis in where], 1)
        centre[j] = own[np.argmin(np.sum((own - centre[j]) ** 2, 1))]
    return centre


def segment_radii(centre, labels, pixel_A):
    """(m,) largest distance from each centre (voxels) to a voxel of its segment, angstrom; one voxel: pixel_A."""
    where = np.nonzero(labels)
    label = labels[where] - 1
    distance = np.sqrt(np.sum((np.stack(where, 1) - centre[label]) ** 2, 1))
    radius = np.zeros(len(centre))
    np.maximum.at(radius, label, distance)
    return np.where(np.bincount(label, minlength=len(centre)) == 1, 1.0, radius) * pixel_A
