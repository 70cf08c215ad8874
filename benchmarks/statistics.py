"""What the statistics cost, and how strain estimators and scores read known particles: docs/results-statistics.md.

    PYTHONPATH=workflow .venv/bin/python benchmarks/statistics.py cost
    PYTHONPATH=workflow .venv/bin/python benchmarks/statistics.py strain
    PYTHONPATH=workflow .venv/bin/python benchmarks/statistics.py scores

Prints Markdown. `cost` runs each size in a process of its own and counts CPU seconds of all threads, imports included;
`strain` repeats every field with noise 20 times; seeds are fixed.
"""

import argparse
import os
import resource
import subprocess
import sys

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import numpy as np  # noqa: E402 (after the threads are set)

A = 3.9242


def ball(radius_A):
    """(n, 3) atoms of an fcc crystal within radius_A of one of them, angstrom."""
    reach = int(2 * radius_A / A) + 2
    g = np.arange(-reach, reach + 1)
    p = np.stack(np.meshgrid(g, g, g, indexing="ij"), -1).reshape(-1, 3)
    p = p[p.sum(1) % 2 == 0] * A / 2
    return p[(p**2).sum(1) <= radius_A**2 + 1e-9]


def model(xyz, sigma_A=None):
    from perrin.files.records import Atoms

    n = len(xyz)
    one = np.full((3, 3), np.nan) if sigma_A is None else np.eye(3) * sigma_A**2
    return Atoms(xyz, np.ones(n), np.tile(one, (n, 1, 1)), np.ones(n), "Pt")


# ---- cost

RADII_A = (8.8, 12.0, 20.0, 30.0, 33.8, 45.0, 72.6)


def cost():
    """One row a size."""
    print("| atoms | CPU s | memory MB |\n|---|---|---|")
    for radius in RADII_A:
        done = subprocess.run(
            [sys.executable, __file__, "one", str(radius)], capture_output=True, text=True, check=True
        )
        print(done.stdout.strip(), flush=True)


def one(radius_A):
    """Everything for one noisy ball in this process."""
    from perrin.states.particle import particle_of

    xyz = ball(radius_A)
    particle_of(model(xyz + np.random.default_rng(0).normal(0, 0.08, xyz.shape)))
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(f"| {len(xyz)} | {used.ru_utime + used.ru_stime:.1f} | {used.ru_maxrss / 1024:.0f} |")


# ---- strain

SIZES_A = (8.8, 10.5, 13.3)  # 201, 321, 675 atoms
NOISE_A = (0.0, 0.05, 0.1)
REPEATS = 20
ESTIMATORS = ("local", "local, cv", "published", "authors")


def fields():
    """{name: function of positions -> (displacement, (n, 3, 3) gradient)}: small displacements about the centre."""

    def linear(matrix):
        return lambda x: (x @ matrix.T, np.tile(matrix, (len(x), 1, 1)))

    def radial(x, slope=0.001):  # u = slope r^2 / 2 along the radius: e_rr = slope r
        r = np.linalg.norm(x, axis=1)[:, None]
        unit = np.divide(x, r, out=np.zeros_like(x), where=r > 1e-9)
        outer = unit[:, :, None] * unit[:, None, :]
        return slope / 2 * r * x, slope / 2 * r[..., None] * (np.eye(3) + outer)

    shear = np.zeros((3, 3))
    shear[0, 1] = shear[1, 0] = 0.01
    return {
        "none": linear(np.zeros((3, 3))),
        "uniform 1 %": linear(0.01 * np.eye(3)),
        "uniaxial 1 %": linear(np.diag([0.01, 0.0, 0.0])),
        "shear 1 %": linear(shear),
        "0.1 % per A along the radius": radial,
    }


def strain():
    """Bias and rmse over the atoms of the radial strain, and how often its error bar holds the truth."""
    from perrin.states.lattice_fit import fit_lattice
    from perrin.states.strain import authors, local_strain, published

    print("| field | atoms | error A |" + "".join(f" {name} |" for name in ESTIMATORS)
          + " 1 sigma holds % | 2 sigma % | mean: 2 sigma % |\n" + "|---" * (len(ESTIMATORS) + 6) + "|")  # fmt: skip
    for name, field in fields().items():
        for radius in SIZES_A:
            ideal = ball(radius)
            move, gradient = field(ideal)
            unit = ideal / np.maximum(np.linalg.norm(ideal, axis=1), 1e-9)[:, None]
            off = np.linalg.norm(ideal, axis=1) > 0.1  # the middle atom has no radius
            true = 100 * np.einsum("ni,nij,nj->n", unit, gradient, unit)
            for sigma in NOISE_A:
                rng = np.random.default_rng(0)
                errors, inside, means = {k: [] for k in ESTIMATORS}, [], []
                for _ in range(REPEATS if sigma else 1):
                    xyz = ideal + move + rng.normal(0, sigma, ideal.shape)
                    fit = fit_lattice(xyz, "fcc", A)
                    covariance = np.tile(np.eye(3) * sigma**2, (len(xyz), 1, 1))
                    found = local_strain(xyz, fit, covariance, 2.0)
                    turned = (xyz - fit.origin_A) @ fit.rotation
                    values = (
                        found.radial, local_strain(xyz, fit, None, None).radial, published(xyz, fit, 2.0)[1],
                        authors(turned, fit.length_A, A, 2.0)[1],
                    )  # fmt: skip
                    for key, value in zip(ESTIMATORS, values):
                        errors[key].append((100 * value - true)[off])
                    if sigma:
                        z = np.abs(errors["local"][-1] / (100 * found.radial_sigma[off]))
                        inside.append([np.mean(z[np.isfinite(z)] < k) for k in (1, 1.96)])
                        means.append(
                            abs(100 * found.mean_radial - true.mean()) < 196 * found.mean_radial_sigma
                        )
                row = [
                    f"{np.nanmean(e):+.3f} / {np.sqrt(np.nanmean(np.square(e))):.3f}" for e in errors.values()
                ]
                held = [f"{100 * v:.0f}" for v in np.mean(inside, 0)] if sigma else ["", ""]
                mean = f"{100 * np.mean(means):.0f}" if sigma else ""
                print(
                    f"| {name} | {len(ideal)} | {sigma} | " + " | ".join([*row, *held, mean]) + " |",
                    flush=True,
                )


# ---- scores


def scores():
    """The three scores under disorder, vacancies, an amorphous shell, and of random points."""
    from perrin.states.crystallinity import coherence, ks_all_pairs, ks_shell_populations
    from perrin.states.lattice_fit import fit_lattice

    print(
        "| particle | "
        + " | ".join(f"{len(ball(r))} atoms" for r in SIZES_A)
        + " |\n"
        + "|---" * (len(SIZES_A) + 1)
        + "|"
    )
    rng = np.random.default_rng(0)

    def line(name, make):
        cells = []
        for radius in SIZES_A:
            found = []
            for _ in range(3):
                xyz = make(ball(radius), radius)
                found.append((coherence(xyz, fit_lattice(xyz, "fcc", A))[0], ks_shell_populations(xyz, "fcc", A)[0],
                              ks_all_pairs(xyz, "fcc", A)[0]))  # fmt: skip
            order, shells, pairs = np.mean(found, axis=0)
            cells.append(f"{order:.3f} / {shells:.2f} / {pairs:.0e}")
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)

    line("perfect", lambda x, r: x)
    for sigma in (0.02, 0.05, 0.1, 0.15, 0.2, 0.3):
        line(f"errors of {sigma} A per axis", lambda x, r, s=sigma: x + rng.normal(0, s, x.shape))
    line("uniform +1 %", lambda x, r: 1.01 * x)
    for share in (0.05, 0.1, 0.2):
        line(
            f"{100 * share:.0f} % vacancies inside",
            lambda x, r, s=share: x[(rng.random(len(x)) > s) | (np.linalg.norm(x, axis=1) > r - 2)],
        )
    for depth in (2, 4):
        line(f"outer {depth} A moved by 0.6 A", lambda x, r, d=depth: x + rng.normal(0, 0.6, x.shape)
             * (np.linalg.norm(x, axis=1) > r - d)[:, None])  # fmt: skip
    line("random points", lambda x, r: apart(len(x), r, rng))


def apart(n, radius, rng, least=2.0):
    """(n, 3) random points within a ball, no two nearer than least."""
    points, radius = np.zeros((0, 3)), 1.05 * radius
    while len(points) < n:
        p = rng.uniform(-radius, radius, 3)
        if p @ p < radius**2 and (len(points) == 0 or np.linalg.norm(points - p, axis=1).min() > least):
            points = np.r_[points, p[None]]
    return points


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("cost", "strain", "scores", "one"))
    parser.add_argument("radius", nargs="?", type=float)
    options = parser.parse_args()
    if options.what == "one":
        one(options.radius)
    else:
        {"cost": cost, "strain": strain, "scores": scores}[options.what]()
