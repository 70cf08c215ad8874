"""Unrelated views of one particle: how many frames, each by itself, are given their pose, against the truth.

    python benchmarks/views.py DATA_FOLDER [--start model lattice] [--poses FOLDER]

DATA_FOLDER holds movie, metadata.tsv (a row per polarity) and truth/ (frames.csv, atoms_state1.csv). `model`: the true
atoms are the model that a user gives (`perrin.rounds.follow`), and neither continuity nor refinement of the atoms takes
part. `lattice`: nothing is given but the element. Lattice constant and radius are those with which the frames are
explained best, one by one (`perrin.poses.evidence`); poses are taken against a ball of lattice sites; which of the
48 poses of equal lattice each frame has, and which slip, is then asked of a model of the sites' occupancies: labels
by chance first, then by the model of all frames, then each frame's by the model of all others. What comes out is a
start_model.

Shares are of frames within 5 degrees: exactly; up to half a turn about the beam (the mirrored body, which projections
tell by the outline alone); up to the lattice's rotations; up to both. With --poses the poses are written as csv.
"""

import argparse
import logging
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
from engine import consistent, score_atoms
from scipy.spatial.transform import Rotation

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "workflow"))
from perrin.atoms.depth import hand_evidence  # noqa: E402
from perrin.atoms.sites import difference_table, nonnegative_solution, site_equations  # noqa: E402
from perrin.files.accepted import Frames  # noqa: E402
from perrin.files.elements import element as element_data  # noqa: E402
from perrin.files.movies import open_movie  # noqa: E402
from perrin.imaging.blobs import Filtered, filter_frames, high_passed, read  # noqa: E402
from perrin.imaging.grids import HALF_TURN, equivalents, orientation_grid  # noqa: E402
from perrin.imaging.lattice import rotation_group, sites, slip_vectors  # noqa: E402
from perrin.imaging.optics import depth_profiles  # noqa: E402
from perrin.imaging.pairs import model_norms  # noqa: E402
from perrin.imaging.profile import overlap  # noqa: E402
from perrin.imaging.rotations import angles_between, quaternions  # noqa: E402
from perrin.imaging.symmetry import own_motions  # noqa: E402
from perrin.poses import evidence  # noqa: E402
from perrin.poses.polish import polish  # noqa: E402
from perrin.rounds import follow, given, lock  # noqa: E402

COLUMNS = {
    "model": "start|polarity|frames|exact %|or half a turn %|or a lattice rotation %|or both %|median deg|CPU s",
    "lattice": "step|polarity|any of 48 %|one solution %|median deg|atoms|recall %|precision %|RMSD A|nats|CPU s",
}
LIMIT = np.radians(5)
PRIOR = 4.0  # 1 / variance of an occupancy about that of the ball, while few frames speak


def frames_of(folder, row):
    """Frames of one polarity as the pipeline's clean ones; true rotations; the atoms."""
    first, last = int(row.first_frame), int(row.last_frame)
    counts = open_movie(folder / row.movie).read(first, last + 1)
    level = counts.mean()
    images = (counts - level) / np.sqrt(level) * (1 if row.polarity == "bright" else -1)
    images -= images.mean(0)  # what stands still
    n, number = images.shape[-1], np.arange(first, last + 1)
    middle = np.full((len(number), 2), ((n - 1) / 2 - n // 2) * row.pixel_size_A)
    box = np.full((len(number), 2), n // 2)
    data = Frames(images, number, number, box, middle, np.ones(len(number)), row.pixel_size_A)
    truth = pd.read_csv(folder / "truth" / "frames.csv").iloc[first : last + 1]
    R = Rotation.from_quat(truth[["qw", "qx", "qy", "qz"]].to_numpy(), scalar_first=True).as_matrix()
    atoms = pd.read_csv(folder / "truth" / "atoms_state1.csv")[["x_A", "y_A", "z_A"]].to_numpy()
    return data, R, atoms


def line(start, row, true, found, group, seconds):
    """A row of the table: shares within the limit, and the median of the exact errors."""
    exact = angles_between(true, found)
    turned = np.minimum(exact, angles_between(true, HALF_TURN @ found))
    every = equivalents(true, group)
    angle = angles_between(every, found[:, None])
    rotated = angle[:, : len(group)].min(1)
    shares = [100 * np.mean(a < LIMIT) for a in (exact, turned, rotated, angle.min(1))]
    cells = [
        start,
        row.polarity,
        str(len(true)),
        *(f"{v:.0f}" for v in shares),
        f"{np.degrees(np.median(exact)):.2f}",
        f"{seconds:.0f}",
    ]
    print("| " + " | ".join(cells) + " |", flush=True)


def from_model(data, row, atoms):
    """Rotations of all frames by themselves, the true atoms given; what their depth says of the hand."""
    centroid = atoms.mean(0)
    xyz = atoms - centroid
    own = own_motions(xyz)
    profile, amplitude = follow.learned(data, xyz, own)
    R, s, a, gain = follow.best_alone(follow.candidates(data, xyz, profile, amplitude, own))
    _, change, _ = depth_profiles(row.element, row.polarity, profile)
    g, H = hand_evidence(data.images, data.pixel_A, xyz, np.ones(len(xyz)), R, s, a, profile, change)
    print(
        f"{row.polarity}: {gain.mean():.0f} nats a frame; depth {2 * g.mean():.1f} +- "
        f"{2 * g.std() / np.sqrt(len(g)):.1f} nats a frame for this hand, {100 * np.mean(g > 0):.0f} % of the frames, "
        f"coefficient {g.sum() / H.sum():.2f}",
        file=sys.stderr,
    )
    return R


def lattice_of(data, metal):
    """Lattice constant and radius that explain the frames best one by one; the best node of each frame."""
    images = high_passed(data.images, data.pixel_A, lock.HIGHPASS)
    group = rotation_group(metal.system)
    grid = orientation_grid(group, 4.0, 5.0)
    best = None
    radius, a = 10.0, metal.lattice_A
    for values in (np.linspace(0.97, 1.03, 7) * a, np.linspace(8, 12, 5)):
        tried = []
        for value in values:
            a, radius = (value, radius) if value < 6 else (best[1], value)
            reflections = lock.reflections_of(metal.system, a)
            windows = evidence.windowed_transforms(images, data.pixel_A, radius, lock._reach(metal.system, a))
            f = lock._start_amplitudes(reflections)
            spots = evidence.spots(grid.rotation, reflections, windows)
            alpha = lock._alphas(windows, grid, reflections, f)
            score = evidence.lattice_scores(windows, spots, f, alpha)
            top = score.max(1).astype(float)
            mean = float(np.mean(top + np.log(np.exp(score - top[:, None]).mean(1))))
            tried.append((mean, a, radius, grid.rotation[score.argmax(1)]))
            print(f"a {a:.3f} A, radius {radius:.1f} A: {mean:.2f} nats a frame", file=sys.stderr)
        best = max(tried, key=lambda t: t[0])
    return best[1:]


class Labels:
    """Which of the equal poses of the lattice, and which slip, each frame has, and the occupancies that follow."""

    def __init__(self, data, points, R, s, a, profile, group, slips):
        self.points, self.a, self.differences = points, a, difference_table(points)
        self.K = overlap(profile, profile, data.pixel_A)
        self.filtered = filter_frames(data.images, data.pixel_A, profile)
        self.R = equivalents(R, group)  # (f, g, 3, 3)
        self.s = s[:, None, None] + np.einsum("fgij,tj->fgti", self.R[:, :, :2], slips)
        f, g, t = self.s.shape[:3]
        self.b = np.empty((f, g, t, len(points)), np.float32)
        for i in range(f):
            one = Filtered(
                np.broadcast_to(self.filtered.coefficient[i], (g * t, *self.filtered.coefficient.shape[1:])),
                self.filtered.step_A, self.filtered.centre,
            )  # fmt: skip
            self.b[i] = read(one, points, np.repeat(self.R[i], t, 0), self.s[i].reshape(-1, 2)).reshape(
                g, t, -1
            )

    def equations(self, rows, label):
        """b and N of the occupancies from some frames with their labels (g, t)."""
        g, t = label[rows].T
        few = Filtered(self.filtered.coefficient[rows], self.filtered.step_A, self.filtered.centre)
        return site_equations(
            few, self.points, self.R[rows, g], self.s[rows, g, t], self.a[rows], self.K, self.differences
        )

    def chosen(self, label):
        """Rotations and shifts of all frames with their labels."""
        every = np.arange(len(self.a))
        return self.R[every, label[:, 0]], self.s[every, label[:, 0], label[:, 1]]

    def best(self, row, o):
        """The label of a frame that a model explains best, and its log-likelihood."""
        keep = o > 0.05
        norm = model_norms(self.points[keep], o[keep], self.R[row], self.K)
        value = self.a[row] * (self.b[row] @ o) - self.a[row] ** 2 / 2 * norm[:, None]
        g, t = np.unravel_index(np.argmax(value), value.shape)
        return (g, t), float(value[g, t])


def prior_of(points, radius_A):
    """Occupancies of a ball with a soft rim."""
    return np.clip((radius_A + 1.5 - np.linalg.norm(points, axis=1)) / 3, 0, 1)


def at_once(labels, rng, sweeps=12):
    """Labels by chance, then in turn all occupancies and all labels."""
    f, g, t = labels.s.shape[:3]
    label = np.c_[rng.integers(0, g, f), np.zeros(f, int)]
    o = None
    for _ in range(sweeps):
        b, N = labels.equations(np.arange(f), label)
        o = nonnegative_solution(b, N, start=o)
        found = [labels.best(row, o) for row in range(f)]
        new = np.array([label for label, _ in found])
        changed, label = np.mean((new != label).any(1)), new
        if changed == 0:
            break
    return label, o, sum(value for _, value in found) / f


def settled(labels, prior, label=None, sweeps=5):
    """Each label by a model of all other frames, until none changes; label None: poses as they are."""
    f, eye, o = len(labels.a), PRIOR * np.eye(len(prior)), prior
    label = np.zeros((f, 2), int) if label is None else label
    b, N = labels.equations(np.arange(f), label)
    for _ in range(sweeps):
        changed, total = 0, 0.0
        for row in range(f):
            own = labels.equations(np.array([row]), label)
            o = nonnegative_solution(b - own[0] + PRIOR * prior, N - own[1] + eye, start=o)
            new, value = labels.best(row, o)
            total += value
            if tuple(label[row]) != tuple(new):
                changed += 1
                label[row] = new
                now = labels.equations(np.array([row]), label)
                b, N = b - own[0] + now[0], N - own[1] + now[1]
        print(f"  {changed} of {f} labels changed, {total / f:.1f} nats a frame", file=sys.stderr, flush=True)
        if not changed:
            break
    return label, nonnegative_solution(b, N, start=o), total / f


def lattice_line(step, row, found, true, group, atoms, xyz_A=None, nats=None, seconds=None):
    """A row of the table of the lattice alone: up to the lattice's 48 poses, and in one solution for all frames."""
    share, median, body, hand = consistent(found, true, group)
    angle = angles_between(equivalents(true @ _crystal_of(true, found, group), group), found[:, None]).min(1)
    cells = [step, row.polarity, f"{100 * np.mean(angle < LIMIT):.0f}", f"{100 * share:.0f}", f"{median:.2f}"]
    if xyz_A is None:
        cells += ["", "", "", ""]
    else:
        recall, precision, rmsd, _, _ = score_atoms(xyz_A, atoms, body, hand)
        cells += [
            str(len(xyz_A)),
            f"{100 * recall:.1f}",
            f"{100 * precision:.1f}",
            "" if rmsd is None else f"{rmsd:.3f}",
        ]
    cells += ["" if nats is None else f"{nats:.0f}", f"{seconds:.0f}"]
    print("| " + " | ".join(cells) + " |", flush=True)


def from_lattice(data, row, true, atoms, metal, starts=2):
    """Rows of the table from the lattice alone."""
    begin = time.process_time()

    def say(step, found, *of_model):
        lattice_line(step, row, found, true, group, atoms, *of_model, seconds=time.process_time() - begin)

    group = rotation_group(metal.system)
    a_A, radius, nodes = lattice_of(data, metal)
    slips = slip_vectors(metal.system, a_A)
    say(f"evidence on a grid ({a_A:.2f} A, ball of {radius:.0f} A)", nodes)
    ball = sites(metal.system, a_A, radius)
    profile, amplitude = follow.learned(data, ball, None)
    R, s, a, gain = follow.best_alone(follow.candidates(data, ball, profile, amplitude, None))
    say("searched against the ball's sites", R)
    points = sites(metal.system, a_A, radius + 3.5)
    prior = prior_of(points, radius)
    for turn in range(3):
        labels = Labels(data, points, R, s, a, profile, group, slips)
        if turn == 0:
            tried = [at_once(labels, np.random.default_rng(number)) for number in range(starts)]
            label, o, _ = max(tried, key=lambda result: result[2])
            say("labels by chance, then by all frames", *labels.chosen(label)[:1], points[o > 0.5])
            label, o, _ = settled(labels, prior, label)
        else:
            label, o, _ = settled(labels, prior)
        R, s = labels.chosen(label)
        keep = o > 0.5
        model = labels.filtered, points[keep], np.minimum(o[keep], 1.2), labels.K
        R, s, a, gain, _ = polish(*model, R, s, a, 6)
        say(f"each by the others, poses refined, {turn + 1}", R, points[keep], gain.mean())
    xyz = points[keep] - points[keep].mean(0)
    solution, _, verdict, why = given.average_from_model(data, metal, xyz, "unrelated")
    found = given.present(solution)
    say(f"these atoms as start_model: {verdict}", found.rotation, found.xyz_A, found.gain.mean())
    print(why, file=sys.stderr)


def _crystal_of(true, found, group):
    """The rotation from lattice axes to the truth's body that most frames agree on, up to equivalents."""
    relative = np.einsum("fji,fgjk->fgik", true, equivalents(found, group)).reshape(-1, 3, 3)
    first = relative[: 2 * len(group) * 12]
    count = [(angles_between(relative, one) < np.radians(6)).sum() for one in first]
    near = angles_between(relative, first[int(np.argmax(count))]) < np.radians(6)
    return Rotation.from_matrix(relative[near]).mean().as_matrix()


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--start", nargs="+", default=["model"], choices=["model", "lattice"])
    parser.add_argument("--polarity", nargs="+", default=["bright", "dark"])
    parser.add_argument("--poses", type=Path)
    options = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    rows = pd.read_csv(options.folder / "metadata.tsv", sep="\t")
    for start in options.start:
        names = COLUMNS[start].split("|")
        print("| " + " | ".join(names) + " |\n|" + "---|" * len(names), flush=True)
        for row in rows[rows.polarity.isin(options.polarity)].itertuples():
            data, true, atoms = frames_of(options.folder, row)
            metal = element_data(row.element)
            if start == "lattice":
                from_lattice(data, row, true, atoms, metal)
                continue
            begin = time.process_time()
            found = from_model(data, row, atoms)
            line("true atoms", row, true, found, _crystal_group(atoms), time.process_time() - begin)
            if options.poses:
                table = pd.DataFrame(quaternions(found), columns=["qw", "qx", "qy", "qz"])
                table.insert(0, "frame", data.number)
                table.to_csv(options.poses / f"{row.polarity}.csv", index=False)


def _crystal_group(atoms):
    """The model's own rotations, which stand for the lattice's in the truth's axes."""
    own = own_motions(atoms, 0.6)
    return own.rotation[: own.proper]


if __name__ == "__main__":
    main()
