"""Figures of perfect clusters and of the measured and made models, from programs that share no code with perrin."""

import numpy as np
import pytest
from clusters import octahedron, sphere
from scipy.spatial import cKDTree

from perrin.states import coordination, crystallinity, strain, surface
from perrin.states.lattice_fit import fit_lattice

A0 = 3.912
CUT = 3.339
CLUSTERS = {  # name: (points, CN:count, mean CN, share above 8 in %)
    "cuboctahedron, 1 shell": (octahedron(3, 1), "5:12 12:1", 5.5385, 7.69),
    "cuboctahedron, 2 shells": (octahedron(5, 2), "5:12 7:24 8:6 12:13", 7.8545, 23.64),
    "cuboctahedron, 3 shells": (octahedron(7, 3), "5:12 7:48 8:24 9:8 12:55", 8.9796, 42.86),
    "cuboctahedron, 4 shells": (octahedron(9, 4), "5:12 7:72 8:54 9:24 12:147", 9.6311, 55.34),
    "octahedron, edge 5": (octahedron(5), "4:6 7:36 9:24 12:19", 8.4706, 50.59),
    "octahedron, edge 8": (octahedron(8), "4:6 7:72 9:120 12:146", 9.7674, 77.33),
    "octahedron, edge 10": (octahedron(10), "4:6 7:96 9:224 12:344", 10.2090, 84.78),
    "truncated octahedron (4, 1)": (octahedron(4, 1), "6:24 9:8 12:6", 7.5789, 36.84),
    "truncated octahedron (6, 1)": (octahedron(6, 1), "6:24 7:24 9:48 12:44", 9.0857, 65.71),
    "truncated octahedron (7, 2)": (octahedron(7, 2), "6:24 7:36 8:6 9:56 12:79", 9.4328, 67.16),
    "truncated octahedron (8, 2)": (octahedron(8, 2), "6:24 7:48 8:6 9:96 12:140", 9.7834, 75.16),
    "truncated octahedron (9, 2)": (octahedron(9, 2), "6:24 7:60 8:6 9:144 12:225", 10.0392, 80.39),
    "truncated octahedron (9, 3)": (octahedron(9, 3), "6:24 7:60 8:24 9:96 12:201", 9.9556, 73.33),
    "truncated octahedron (10, 3)": (octahedron(10, 3), "6:24 7:72 8:24 9:152 12:314", 10.1980, 79.52),
    "sphere of 79": (sphere(10), "6:24 7:12 9:24 12:19", 8.5063, 54.43),
    "sphere of 87": (sphere(12), "3:8 6:24 7:12 10:24 12:19", 8.2759, 49.43),
    "sphere of 135": (sphere(14), "6:48 8:24 9:8 11:12 12:43", 8.8889, 46.67),
    "sphere of 141": (sphere(16), "4:6 6:48 9:32 11:12 12:43", 8.8511, 61.70),
    "sphere of 177": (sphere(18), "5:36 8:54 9:8 11:24 12:55", 9.0847, 49.15),
    "sphere of 225": (sphere(22), "5:24 6:24 7:36 8:6 10:48 12:87", 9.2800, 60.00),
    "sphere of 321": (sphere(27), "6:72 7:24 9:48 10:24 11:12 12:141", 9.6449, 70.09),
    "sphere of 459": (sphere(36), "4:6 5:24 6:24 7:84 9:24 10:72 12:225", 9.8301, 69.93),
    "sphere of 627": (sphere(44), "5:24 6:72 8:78 9:72 11:60 12:321", 10.1053, 72.25),
}
# largest distance, twice the largest from the centroid, radius of gyration, nearest min mean max, mean bond, CN:count,
# mean CN, share above 8 in %, atoms with CN below 10
MODELS = {
    "pt314_state1": (314, 21.626, 22.484, 8.231, 2.523, 2.6802, 3.007, 2.8277,
        "3:1 4:4 5:13 6:38 7:32 8:28 9:21 10:25 11:23 12:129", 9.5541, 63.06, 137),
    "pt314_state2": (286, 21.273, 21.805, 7.961, 2.490, 2.6625, 2.996, 2.8194,
        "3:2 4:2 5:9 6:45 7:25 8:25 9:19 10:22 11:23 12:114", 9.4965, 62.24, 127),
    "pt201_state1": (201, 20.609, 22.224, 7.032, 2.506, 2.6425, 2.740, 2.7305,
        "3:2 5:9 6:22 7:27 8:12 9:46 10:10 11:4 12:69", 9.2239, 64.18, 118),
    "pt201_state2": (180, 19.407, 19.971, 6.751, 2.505, 2.6427, 2.746, 2.7287,
        "3:1 5:9 6:21 7:29 8:8 9:39 10:10 11:2 12:61", 9.1444, 62.22, 107),
    "pt201_state3": (158, 18.091, 18.793, 6.412, 2.554, 2.6431, 2.747, 2.7274,
        "5:3 6:31 7:22 8:8 9:31 10:7 11:4 12:52", 9.0886, 59.49, 95),
    "kang2025_stage1": (314, 21.626, 22.484, 8.231, 2.523, 2.6802, 3.007, 2.8277,
        "3:1 4:4 5:13 6:38 7:32 8:28 9:21 10:25 11:23 12:129", 9.5541, 63.06, 137),
    "kang2025_stage2": (264, 21.017, 22.561, 7.766, 1.923, 2.6465, 2.891, 2.8155,
        "3:5 4:7 5:18 6:30 7:18 8:21 9:24 10:23 11:25 12:93", 9.2576, 62.50, 123),
}  # fmt: skip
# of the published program: mean, sd of the atoms' correlation; a, b, c; rms residual; mean, sd, least, largest strain;
# p of all pair distances
AS_PUBLISHED = {
    "kang2025_stage1": (0.727, 0.045, (3.986, 3.984, 3.990), 0.146, (1.35, 0.84, -0.6, 5.0), 4e-69),
    "kang2025_stage2": (0.729, 0.059, (3.971, 3.984, 3.945), 0.190, (1.54, 1.2, -1.6, 5.0), 2e-75),
}


def words(cn):
    return " ".join(f"{k}:{v}" for k, v in coordination.histogram(cn).items())


@pytest.mark.parametrize("name", CLUSTERS)
def test_perfect_clusters(name):
    """Would catch a cut-off, a neighbour or a cluster of another definition: exact counts of an integer lattice."""
    points, histogram, mean, share = CLUSTERS[name]
    cn = coordination.coordination_numbers(points * A0 / 2, CUT)
    assert words(cn) == histogram
    assert cn.mean() == pytest.approx(mean, abs=6e-5)
    assert 100 * coordination.fraction_above(cn) == pytest.approx(share, abs=6e-3)


# (ASE's cluster, arguments, CN:count, mean generalised CN as the authors' program)
TWINNED = [
    ("Icosahedron", (4,), "6:12 8:60 9:20 12:55", 7.8299),
    ("Icosahedron", (5,), "6:12 8:90 9:60 12:147", 8.6893),
    ("Decahedron", (3, 2, 1), "6:22 7:20 8:20 9:30 10:5 12:49", 7.4418),
    ("Decahedron", (3, 3, 2), "6:22 7:50 8:35 9:100 10:15 12:212", 8.7577),
]


@pytest.mark.parametrize("kind, shape, histogram, gcn", TWINNED)
def test_twinned_clusters(kind, shape, histogram, gcn):
    """Would catch a cut-off that the strained bonds of icosahedra and decahedra fall beyond."""
    import ase.cluster

    xyz = getattr(ase.cluster, kind)("Pt", *shape, latticeconstant=A0).positions
    assert words(coordination.coordination_numbers(xyz, CUT)) == histogram
    for variant in ("authors", "bulk"):
        assert coordination.generalised(xyz, CUT, variant=variant).mean() == pytest.approx(gcn, abs=6e-5)


@pytest.mark.parametrize("name", MODELS)
def test_models(name, measured):
    """Would catch any length, count or share of the shared models that is counted otherwise."""
    n, largest, twice, gyration, least, near, most, bond, histogram, mean, share, low = MODELS[name]
    xyz = measured(name)
    off = np.linalg.norm(xyz - xyz.mean(0), axis=1)
    nearest = cKDTree(xyz).query(xyz, k=2)[0][:, 1]
    cn = coordination.coordination_numbers(xyz, CUT)
    pair = cKDTree(xyz).query_pairs(CUT, output_type="ndarray")
    assert len(xyz) == n and words(cn) == histogram and (cn < 10).sum() == low
    found = [
        surface.largest_distance(xyz),
        2 * off.max(),
        np.sqrt((off**2).mean()),
        nearest.min(),
        nearest.max(),
    ]
    assert found == pytest.approx([largest, twice, gyration, least, most], abs=6e-4)
    lengths = np.linalg.norm(xyz[pair[:, 0]] - xyz[pair[:, 1]], axis=1)
    assert [nearest.mean(), lengths.mean(), cn.mean()] == pytest.approx([near, bond, mean], abs=6e-5)
    assert 100 * coordination.fraction_above(cn) == pytest.approx(share, abs=6e-3)


@pytest.mark.parametrize("name", AS_PUBLISHED)
def test_as_the_published_program(name, measured):
    """Would catch another assignment to sites, or another step of the published program, on real positions."""
    correlation, spread, edges, rms, radial, p = AS_PUBLISHED[name]
    xyz = measured(name)
    column = measured(name, ["b_column"])
    assert [column.mean(), column.std(ddof=1)] == pytest.approx([correlation, spread], abs=6e-4)
    fit = fit_lattice(xyz, "fcc", A0)
    # the program trims nothing: plain least squares over all atoms at the sites that were found
    design = np.c_[np.ones(len(xyz)), fit.site]
    solution = np.linalg.lstsq(design, xyz, rcond=None)[0]
    residual = xyz - design @ solution
    length = np.linalg.norm(solution[1:], axis=1)
    assert length == pytest.approx(edges, abs=6e-4)
    assert np.sqrt((residual**2).sum(1).mean()) == pytest.approx(rms, abs=6e-4)
    found = 100 * strain.authors(xyz, length, A0)[1]
    assert [found.mean(), found.std(ddof=1), found.min(), found.max()] == pytest.approx(radial, abs=0.06)
    about_an_atom, best = (crystallinity.ks_all_pairs(xyz, "fcc", A0, centres)[0] for centres in
                           (crystallinity.CENTRES[:1], crystallinity.CENTRES))  # fmt: skip
    assert float(f"{about_an_atom:.0e}") == p
    assert about_an_atom <= best < 1e-30
