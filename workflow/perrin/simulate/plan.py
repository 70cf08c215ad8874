"""What precision to expect of a movie before it is taken: the Cramer-Rao bound of its atoms, poses unknown.

A particle of so many atoms tumbles along a simulated path; every frame is the atoms' projection in the noise of so many
electrons. The bound of all positions, with every frame's pose marginalised, is that of perrin.atoms.joint. It says
nothing of multiple scattering, of focus and of poses that cannot be found at all: no movie does better, and one whose
poses lock comes near it.
"""

import numpy as np

from perrin.atoms.joint import covariances, normal_matrix
from perrin.files.elements import element as look_up
from perrin.files.records import Poses
from perrin.imaging import lattice
from perrin.imaging.pairs import model_norms
from perrin.imaging.profile import Profile, overlap
from perrin.imaging.rotations import matrices
from perrin.poses.coverage import coverage
from perrin.simulate.images import RINGED
from perrin.simulate.motion import orientations

HIGHPASS_A1 = 0.2  # 1/A, as the stages have it
WEAK = 10.0  # prior spread of occupancies where nothing is to be known of them
LENGTHS = (0.25, 0.5, 1.0, 2.0)  # of the frames asked for, for the table
EXPECTED = {
    "frames": ("", "frames of the window of time"),
    "seconds_s": ("s", "their length"),
    "sigma_A": ("A", "error of a position along one axis, mean over atoms and axes"),
    "sigma_best_path_A": ("A", "the same of the best of the simulated paths"),
    "sigma_worst_path_A": ("A", "the same of the worst of the simulated paths"),
    "rms_A": ("A", "error of a position in space, root of the mean square"),
    "worst_atoms_A": ("A", "error in space that 5 % of the atoms exceed"),
    "fourier_coverage": ("", "share of the Fourier shell at 1 A that the views have seen"),
}


def crystal(element, n_atoms):
    """(about n_atoms, 3) positions of a round crystal, angstrom: whole shells of the lattice about its centre.

    >>> len(crystal("Pt", 200))
    200
    """
    metal = look_up(element)
    volume = lattice.volume_per_atom(metal.system, metal.lattice_A, metal.c_over_a)
    radius = (3 * n_atoms * volume / (4 * np.pi)) ** (1 / 3)
    points = lattice.sites(metal.system, metal.lattice_A, 1.3 * radius + 3, c_over_a=metal.c_over_a)
    distance = np.linalg.norm(points, axis=1)
    order = np.argsort(distance, kind="stable")
    return points[order[:n_atoms]]


def window(xyz_A, frames, step_deg, amplitude, pixel_A, seed, profile=RINGED):
    """The bound for one window of frames along one path.

    xyz_A : (n, 3); step_deg : turn from frame to frame, rms over all axes together; amplitude : height of an atom's
        image in units of a pixel's noise, before the high-pass; profile : ((sigma_A, height), ...)
    returns dict: sigma_A (n, 3) with poses free, occupancy (n,) error of an atom's presence with all else known, nats a
        frame above an empty frame, fourier_coverage
    """
    quaternion = orientations({"rms_deg": step_deg}, frames, np.random.default_rng(seed))
    sigmas, heights = np.array(profile).T
    common = Profile(sigmas, heights * 2 * np.pi * sigmas**2, HIGHPASS_A1)
    K = overlap(common, common, pixel_A)
    R, o = matrices(quaternion), np.ones(len(xyz_A))
    shift, strength = np.zeros((frames, 2)), np.full(frames, float(amplitude))
    free, _, _ = covariances(xyz_A, o, K, R, shift, strength)
    n = len(xyz_A)
    presence = normal_matrix(xyz_A, o, K, R, shift, strength).reshape(n, 4, n, 4)[:, 3, :, 3]
    diameter = 2 * np.linalg.norm(xyz_A - xyz_A.mean(0), axis=1).max()
    views = coverage(Poses(np.arange(frames), quaternion, shift, strength, strength), diameter_A=diameter)
    return {
        "sigma_A": np.sqrt(np.diagonal(free, axis1=1, axis2=2)),
        "occupancy": np.sqrt(np.diag(np.linalg.inv(presence + np.eye(n) / WEAK**2))),
        "nats": float(np.mean(amplitude**2 * model_norms(xyz_A, o, R, K) / 2)),
        "fourier_coverage": views["fourier_coverage"],
    }


def plan(*, n_atoms, element="Pt", pixel_A=0.358, dose_e_px=17.0, contrast=0.27, step_deg=2.5, rate_hz=400.0,
         frames=750, paths=3, false_alarm=0.01, seed=0):  # fmt: skip
    """What to expect of windows of half, once, twice the frames.

    contrast : height of one atom's image as a share of the background's brightness (0.27: Pt with power SNR 0.25 at
        17 electrons a pixel); paths : simulated tumblings, since some see more than others
    false_alarm : of dating an atom's leaving, over all atoms and frames of the window
    returns dict: table (columns of EXPECTED), xyz_A, nats, notice_frames: frames after which the evidence for one
        atom's leaving exceeds what chance reaches
    """
    xyz = crystal(element, n_atoms)
    amplitude = contrast * np.sqrt(dose_e_px)
    rows = []
    for share in LENGTHS:
        length = max(20, int(round(share * frames)))
        found = [window(xyz, length, step_deg, amplitude, pixel_A, [seed, k]) for k in range(paths)]
        means = [float(f["sigma_A"].mean()) for f in found]
        space = [np.sqrt(np.square(f["sigma_A"]).sum(1)) for f in found]
        rows.append(
            {
                "frames": length, "seconds_s": length / rate_hz, "sigma_A": float(np.median(means)),
                "sigma_best_path_A": min(means), "sigma_worst_path_A": max(means),
                "rms_A": float(np.median([np.sqrt(np.mean(s**2)) for s in space])),
                "worst_atoms_A": float(np.median([np.quantile(s, 0.95) for s in space])),
                "fourier_coverage": float(np.median([f["fourier_coverage"] for f in found])),
            }
        )  # fmt: skip
        if share == 1.0:
            nats = float(np.median([f["nats"] for f in found]))
            # presence against absence of an atom, in nats a frame; chance exceeds x nats with probability e^-x
            per_frame = 0.5 / (np.median([np.median(f["occupancy"]) for f in found]) ** 2 * length)
            notice = np.log(2 * n_atoms * length / false_alarm) / per_frame
    table = {name: [row[name] for row in rows] for name in EXPECTED}
    return {"table": table, "xyz_A": xyz, "nats": nats, "notice_frames": float(np.ceil(notice))}


def words(found, rate_hz):
    """The table and what goes with it, for the terminal."""
    heads = ["frames", "s", "error an axis A", "best to worst path A", "error in space A", "5 % exceed A",
             "Fourier shell seen %"]  # fmt: skip
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for row in zip(*found["table"].values()):
        n, s, mean, best, worst, rms, late, seen = row
        cells = [f"{n}", f"{s:.3g}", f"{mean:.3f}", f"{best:.3f}-{worst:.3f}", f"{rms:.3f}", f"{late:.3f}",
                 f"{100 * seen:.0f}"]  # fmt: skip
        lines.append("| " + " | ".join(cells) + " |")
    lines.append("")
    lines.append(f"A frame holds {found['nats']:.0f} nats of the particle against an empty frame.")
    n = found["notice_frames"]
    lines.append(f"An atom's leaving shows after {n:.0f} frames ({n / rate_hz:.2g} s).")
    lines.append(
        "Bounds: no movie does better. Multiple scattering and focus add to them; poses that do not lock spoil all."
    )
    return "\n".join(lines)


def write_figure(path, found, rate_hz, title):
    """Error in space against the length of the window, with the range of the paths, as SVG or PNG by its suffix."""
    import matplotlib
    from matplotlib.figure import Figure

    from perrin.files.atomic import whole

    table = {name: np.array(values) for name, values in found["table"].items()}
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams["svg.hashsalt"] = "perrin"
        figure = Figure(figsize=(5.2, 3.6), layout="constrained")
        axis = figure.subplots()
        axis.fill_between(table["frames"], table["sigma_best_path_A"], table["sigma_worst_path_A"], alpha=0.25, lw=0,
                          color="#0072b2", label="best to worst path")  # fmt: skip
        axis.loglog(table["frames"], table["sigma_A"], "o-", color="#0072b2", label="along one axis")
        axis.loglog(table["frames"], table["rms_A"], "s-", color="#d55e00", label="in space")
        axis.set_xlabel(f"frames of a window ({rate_hz:g} a second)")
        axis.set_ylabel("error of a position (Å)")
        axis.set_xticks(table["frames"], [f"{n:d}" for n in table["frames"]])
        axis.minorticks_off()
        axis.yaxis.set_major_formatter(matplotlib.ticker.FormatStrFormatter("%.3g"))
        axis.yaxis.set_minor_formatter(matplotlib.ticker.FormatStrFormatter("%.2g"))
        axis.legend(frameon=False, fontsize=8)
        axis.set_title(title, fontsize=9)
        with whole(path) as temporary:
            figure.savefig(temporary, format=path.suffix[1:], dpi=150,
                           metadata={"Date": None} if path.suffix == ".svg" else None)  # fmt: skip
