"""Windows and events on simulated particles that change as planted, over seeds.

    python benchmarks/windows.py windows still step5 --seeds 0 20 > results/windows.jsonl
    python benchmarks/windows.py events etch50 etch10 --snr 0.1 --seeds 0 10 > results/events.jsonl
    python benchmarks/windows.py table results/windows.jsonl results/events.jsonl

A particle of 250 to 330 Pt atoms tumbles by 2.5 degrees a frame; atoms leave it, arrive or only focus or speed change.
So that many seeds can be afforded the lattice is not locked and nothing is reconstructed. Poses are the true ones with
errors as the stages before leave them (0.5 degrees an axis and 0.08 A, correlated over some frames; 0.35 degrees within
windows); the model is every atom that was there in a third of the frames or more, with its mean occupancy, off by
0.08 A (0.05 A within windows). What follows is the stages' own: perrin.windows.split.find_windows as `segment` calls
it, perrin.windows.events.find_lives and event_rows as `events` does, with the defaults of the schema. A line of JSON
a run goes to standard output. One process, one thread unless NUMBA_NUM_THREADS says otherwise.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np
from engine import PIXEL_A, particle
from scipy.signal import lfilter
from scipy.spatial.transform import Rotation

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "workflow"))
from perrin.files.accepted import Frames, gaps  # noqa: E402
from perrin.files.elements import element  # noqa: E402
from perrin.imaging.lattice import nearest_distance  # noqa: E402
from perrin.imaging.profile import Profile, overlap  # noqa: E402
from perrin.imaging.rotations import matrices, rotvec_matrices  # noqa: E402
from perrin.settings import complete, read_schema  # noqa: E402
from perrin.simulate.images import RINGED, simulate_boxes  # noqa: E402
from perrin.simulate.motion import orientations  # noqa: E402
from perrin.simulate.movie import simulate_movie  # noqa: E402
from perrin.simulate.particle import relaxed, remove_atoms  # noqa: E402
from perrin.windows.event_table import event_rows  # noqa: E402
from perrin.windows.events import BOND, find_lives  # noqa: E402
from perrin.windows.evidence import assemble, collect  # noqa: E402
from perrin.windows.published_curve import correlation_steps  # noqa: E402
from perrin.windows.segment import equal_windows  # noqa: E402
from perrin.windows.split import find_windows  # noqa: E402
from perrin.windows.union import unite  # noqa: E402

DOSE, RATE_HZ, STEP_DEG, FRAMES = 17.0, 400.0, 2.5, 1200
HIGHPASS_A1 = 0.2  # 1/A, as the stages have it
MATCH_FRAMES = 60  # farther from the planted frame a boundary is another one
SAME_A = 1.2  # farther apart sites are not the same
WINDOWS = ("still", "step3", "step5", "step10", "step20", "two", "gradual", "focus", "speed")
EVENTS = ("etch50", "etch10", "visits20", "visits40")
SCHEMA = Path(__file__).resolve().parents[1] / "config/schemas/config.schema.yaml"


def plan(name, xyz, frames, rng):
    """(frames, atoms) bool, which atoms are there, all places, and the planted boundaries.

    steps take the atoms nearest to a place on the surface, etching the least coordinated one each time.
    """
    metal = element("Pt")
    steps = {"step3": [0.03], "step5": [0.05], "step10": [0.1], "step20": [0.2], "two": [0.1, 0.1]}.get(
        name, []
    )
    first = (
        int(rng.integers(0.3 * frames, 0.7 * frames))
        if len(steps) < 2
        else int(0.33 * frames + rng.integers(-20, 20))
    )
    planted = [first + 400 * i for i in range(len(steps))]
    there = np.ones((frames, len(xyz)), bool)
    for share, at in zip(steps, planted):
        left = np.flatnonzero(there[-1])
        direction = rng.normal(size=3)
        direction /= np.linalg.norm(direction)
        corner = xyz[left][np.argmax(xyz[left] @ direction)]
        near = np.argsort(np.linalg.norm(xyz[left] - corner, axis=1))[: round(share * len(xyz))]
        there[at:, left[near]] = False
    every = {"gradual": 50, "etch50": 50, "etch10": 10}.get(name)
    if every:
        dates = range(30 if every < 30 else every, frames - 25, every)
        direction = rng.normal(size=3)
        left = np.arange(len(xyz))
        for at in dates:
            stays = left[remove_atoms(xyz[left], 1, metal.lattice_A, direction)]
            there[at:, np.setdiff1d(left, stays)] = False
            left = stays
    stay = {"visits20": 20, "visits40": 40}.get(name)
    if stay:
        places = _free_places(xyz, 12, nearest_distance(metal.system, metal.lattice_A), rng)
        starts = np.linspace(60, frames - 90, len(places)).astype(int) + rng.integers(-15, 15, len(places))
        more = np.zeros((frames, len(places)), bool)
        for i, start in enumerate(starts):
            more[start : start + stay, i] = True
        xyz, there = np.r_[xyz, places], np.c_[there, more]
    return there, xyz, planted


def _free_places(xyz, count, bond, rng):
    """(count, 3) empty lattice sites with three neighbours or more, no two of them beside each other."""
    steps = xyz[:, None] - xyz[None]
    steps = steps[np.abs(np.linalg.norm(steps, axis=-1) - bond) < 0.15 * bond]
    found = []
    for _ in range(100000):
        place = xyz[rng.integers(len(xyz))] + steps[rng.integers(len(steps))]
        distance = np.linalg.norm(xyz - place, axis=1)
        if distance.min() < 0.85 * bond or (distance < 1.2 * bond).sum() < 3:
            continue
        if all(np.linalg.norm(place - other) > 1.5 * bond for other in found):
            found.append(place)
            if len(found) == count:
                return np.array(found)
    raise ValueError(f"no {count} free places")


def film(name, snr, frames, seed):
    """Frames, true rotations, shifts, who is there, their places, planted boundaries, profile of an atom."""
    rng = np.random.default_rng([seed, 41])
    metal = element("Pt")
    xyz = particle("plain", int(rng.integers(250, 331)), metal, seed)
    there, xyz, planted = plan(name, xyz, frames, rng)
    radius = np.linalg.norm(xyz, axis=1).max()
    box = int(2 * np.ceil((radius + 5) / PIXEL_A))
    fixed = {"strain_pct": 0.0, "displacement_A": 0.0, "contraction_A": 0.0}
    truth, _ = simulate_movie(
        {"seed": seed, "n_frames": frames, "field_px": box + 44, "snr": snr, "dose_e_px": DOSE,
         "particle": {"xyz_A": xyz[there[0]].tolist()} | fixed, "rotation": {"rms_deg": STEP_DEG},
         "motion": {"rms_px": 0.36, "limit_px": 18}}
    )  # fmt: skip
    quaternion = truth.quaternion
    amplitude = np.full(frames, truth.contrast * np.sqrt(DOSE))
    profiles, profile_at = [RINGED], np.zeros(frames, int)
    change = int(rng.integers(0.3 * frames, 0.7 * frames))
    if name == "speed":
        slow = orientations({"rms_deg": 1.5}, change, np.random.default_rng([seed, 42]))
        start = {"rms_deg": 4.0, "start": slow[-1]}
        fast = orientations(start, frames - change + 1, np.random.default_rng([seed, 43]))
        quaternion = np.r_[slow, fast[1:]]
    if name == "focus":
        amplitude[change:] *= 0.7
        profiles.append([(1.1 * sigma, height) for sigma, height in RINGED])
        profile_at[change:] = 1
    tracked = truth.origin_px + _wander(rng, frames, 2, 0.6)
    corner = np.rint(tracked).astype(int)
    shift = (truth.origin_px - corner) * PIXEL_A
    images = np.empty((frames, box, box), np.float32)
    same = (there[1:] == there[:-1]).all(1) & (profile_at[1:] == profile_at[:-1])
    edges = [0, *np.flatnonzero(~same) + 1, frames]
    noise = rng.normal(0, 0.03, xyz.shape)
    for a, z in zip(edges[:-1], edges[1:]):
        here = there[a]
        places = relaxed(xyz[here], metal.lattice_A) + noise[here]
        images[a:z] = simulate_boxes(
            places, quaternion[a:z], shift[a:z], box, PIXEL_A, amplitude[a:z], profiles[profile_at[a]], DOSE,
            seed * 100_000 + a,
        )  # fmt: skip
    images -= images.mean((1, 2), keepdims=True)
    number = np.arange(frames)
    data = Frames(images, number, number, corner, (tracked - corner) * PIXEL_A, gaps(number), PIXEL_A)
    sigma, height = np.array(RINGED).T
    raw = Profile(sigma, height * 2 * np.pi * sigma**2, HIGHPASS_A1)
    profile = Profile(sigma, raw.weight / raw.value(0.0), HIGHPASS_A1)
    mean = relaxed(xyz, metal.lattice_A) + noise
    return data, matrices(quaternion), shift, there, mean, planted, profile


def _wander(rng, frames, columns, sigma, memory=0.8):
    """(frames, columns) errors of one standard deviation, correlated from frame to frame."""
    fresh = rng.normal(0, sigma * np.sqrt(1 - memory**2), (frames + 50, columns))
    return lfilter([1], [1, -memory], fresh, axis=0)[50:]


def measured_poses(R, s, degrees, rng):
    """Poses with errors of `degrees` an axis and 0.08 A."""
    error = rotvec_matrices(np.radians(_wander(rng, len(R), 3, degrees)))
    return error @ R, s + _wander(rng, len(s), 2, 0.08)


def off_by(xyz, rms_A, rng):
    """Places with errors of rms_A in space."""
    return xyz + rng.normal(0, rms_A / np.sqrt(3), xyz.shape)


def score_starts(starts, low, high, planted):
    """Planted boundaries found, errors, intervals that hold, boundaries besides."""
    free, errors, holds = list(range(len(starts))), [], []
    for true in planted:
        near = [i for i in free if abs(starts[i] - true) <= MATCH_FRAMES]
        if near:
            best = min(near, key=lambda i: abs(starts[i] - true))
            free.remove(best)
            errors.append(abs(int(starts[best]) - true))
            holds.append(bool(low[best] <= true <= high[best]))
    return {"planted": len(planted), "errors": errors, "holds": holds, "false": len(free)}


def blended(there, starts):
    """What windows do to the models in them.

    blended : atoms there in between 10 and 90 % of a window's frames, mean over windows weighted by their length
    wrong : atoms, a frame, whose presence differs from what most frames of its window hold
    most_within : largest number of atoms that change in one window
    """
    edges = [0, *map(int, starts), len(there)]
    parts = [there[a:z] for a, z in zip(edges[:-1], edges[1:])]
    share = [part.mean(0) for part in parts]
    count = [int(((x > 0.1) & (x < 0.9)).sum()) for x in share]
    wrong = [float(np.minimum(x, 1 - x).sum()) for x in share]
    length = np.diff(edges)
    return {
        "blended": float(np.average(count, weights=length)), "wrong": float(np.average(wrong, weights=length)),
        "most_within": int(max((part[1:] != part[:-1]).any(0).sum() for part in parts)),
    }  # fmt: skip


def rows_without_first(rows):
    """First frames, lower and upper ends of all windows but the first."""
    return tuple([row[key] for row in rows[1:]] for key in ("first_frame", "first_low", "first_high"))


def find(world, rng, options):
    """Windows as `segment` finds them: rows, record; and the poses, model it was given."""
    data, R, s, there, xyz, _, profile = world
    R, s = measured_poses(R, s, 0.5, rng)
    mean = there.mean(0)
    model = mean > 1 / 3
    start = off_by(xyz[model], 0.08, rng)
    set_by = {
        key: options[key] for key in ("min_frames", "least_atoms", "false_alarm", "inflation", "rounds")
    }
    walk = np.degrees(np.sqrt(np.mean(np.square(np.linalg.norm(
        Rotation.from_matrix(R[1:] @ R[:-1].transpose(0, 2, 1)).as_rotvec(), axis=1)))))  # fmt: skip
    rows, record, _ = find_windows(
        data, R, s, np.ones(len(data)), start, mean[model], profile, float(walk), data.number,
        frame_rate_hz=RATE_HZ, **set_by,
    )  # fmt: skip
    return rows, record, (R, s, start, mean[model])


def run_windows(name, snr, frames, seed):
    """One movie: windows of the three methods against what was planted."""
    rng = np.random.default_rng([seed, 44])
    world = film(name, snr, frames, seed)
    data, _, _, there, _, planted, profile = world
    options = complete({}, read_schema(SCHEMA))["segment"]
    begin = time.process_time()
    rows, record, (R, s, start, level) = find(world, rng, options)
    spent = time.process_time() - begin
    found = rows_without_first(rows)
    out = {
        "what": name,
        "snr": snr,
        "frames": frames,
        "seed": seed,
        "atoms": int(there[0].sum()),
        "cpu_s": spent,
    }
    out |= {
        "verdict": record.get("verdict", "good"),
        "starts": found[0],
        "nats": record["nats_per_atom_and_frame"],
    }
    out |= {"low": found[1], "high": found[2], "planted_at": planted}
    out["within"] = sum(one["changes_within"] for one in record["drift"])
    out["atoms method"] = score_starts(*found, planted) | blended(there, found[0])
    equal = rows_without_first(equal_windows(data.number, options["equal_frames"]))
    out["equal"] = score_starts(*equal, planted) | blended(there, equal[0])
    out["equal"]["away"] = [min(abs(true - one) for one in equal[0]) for true in planted]
    K = overlap(profile, profile, PIXEL_A)
    b, u = collect(data.images, PIXEL_A, profile, np.zeros(frames, int), start[None], R, s)
    state = assemble(data.number, b, u, np.tile(level, (frames, 1)), np.ones(frames), K, STEP_DEG)
    fit = (state.present * b).sum(1) / np.sqrt((state.present * state.m).sum(1))
    correlation = fit / np.sqrt(np.square(data.images).sum((1, 2)))
    steps, _ = correlation_steps(
        data.number, correlation, options["min_frames"], options["false_alarm"], seed
    )
    published = tuple([step[k] for step in steps[1:]] for k in range(3))
    out["published"] = score_starts(*published, planted) | blended(there, published[0])
    return out


def run_events(name, snr, frames, seed):
    """One movie: its events against what was planted."""
    rng = np.random.default_rng([seed, 45])
    world = film(name, snr, frames, seed)
    data, R, s, there, xyz, _, profile = world
    rows, _, _ = find(world, rng, complete({}, read_schema(SCHEMA))["segment"])
    edges = [row["first_frame"] for row in rows] + [frames]
    options = complete({}, read_schema(SCHEMA))["events"]
    begin = time.process_time()
    models, window = [], np.zeros(frames, int)
    for w, (a, z) in enumerate(zip(edges[:-1], edges[1:])):
        models.append(off_by(xyz[there[a:z].mean(0) > 0.5], 0.05, rng))
        window[a:z] = w
    union = unite(models, np.diff(edges))
    R, s = measured_poses(R, s, 0.35, rng)
    state, union, limits = find_lives(
        data, R, s, np.ones(frames), window, union, profile, dict.fromkeys(range(len(models)), STEP_DEG),
        options["false_alarm"], options["inflation"], options["rounds"],
    )  # fmt: skip
    bond = nearest_distance(element("Pt").system, element("Pt").lattice_A)
    found = event_rows(
        state,
        window,
        union.xyz_A,
        limits,
        options["interval_level"],
        options["hop_factor"] * bond,
        BOND * bond,
    )
    spent = time.process_time() - begin
    out = {
        "what": name,
        "snr": snr,
        "frames": frames,
        "seed": seed,
        "atoms": int(there[0].sum()),
        "cpu_s": spent,
    }
    return (
        out
        | {"windows": len(rows), "nats": float(state.information.mean() / 2)}
        | score_events(found, union, there, xyz)
    )


def score_events(found, union, there, xyz):
    """Planted departures and arrivals against the rows of event_rows."""
    claims = []
    for one in found:
        places = union.xyz_A[one["window"]]
        dates = (one["index"], one["low"], one["high"])
        claims.append(
            ("arrived" if one["event"] == "arrived" else "left", places[one["site"]], *dates, one["nats"])
        )
        if one["event"] == "moved":
            claims.append(("arrived", places[one["to_site"]], *dates, one["nats"]))
    changes = np.diff(there.astype(int), axis=0)
    planted = [
        ("left" if changes[f, j] < 0 else "arrived", j, int(f) + 1) for f, j in zip(*np.nonzero(changes))
    ]
    free, pairs, missed = set(range(len(claims))), [], []
    for kind, j, at in planted:
        near = [i for i in free if claims[i][0] == kind and np.linalg.norm(claims[i][1] - xyz[j]) < SAME_A]
        near = [i for i in near if abs(claims[i][2] - at) <= MATCH_FRAMES]
        if near:
            best = min(near, key=lambda i: abs(claims[i][2] - at))
            free.remove(best)
            pairs.append((at, *claims[best][2:5]))
        else:
            missed.append(at)
    at, index, low, high = np.array(pairs, int).reshape(-1, 4).T
    apart = at[:, None] - at > 20
    right = (index[:, None] > index)[apart]
    return {
        "planted": len(planted), "found": len(pairs), "missed": missed, "false": len(free),
        "errors": np.abs(index - at).tolist(), "inside": ((low <= at) & (at <= high)).tolist(),
        "early": (at < low).tolist(), "width": (high - low).tolist(),
        "pairs": int(right.size), "in_order": int(right.sum()),
        "false_at": [(claims[i][0], int(claims[i][2]), round(claims[i][5], 1)) for i in sorted(free)],
    }  # fmt: skip


def pooled(runs, *path):
    """All values of a list that every run has."""
    values = []
    for one in runs:
        for key in path:
            one = one[key]
        values += one
    return np.array(values)


def middle_and_largest(values):
    """Two numbers as text."""
    return f"{np.median(values):.0f} / {np.max(values)}" if len(values) else ""


def table(files):
    """Print the tables of what was run, one row a setting."""
    lines = [line for file in files for line in Path(file).read_text().splitlines() if line.startswith("{")]
    runs = {}
    for one in map(json.loads, lines):
        runs.setdefault((one["part"], one["what"], one["snr"]), []).append(one)
    print(
        "| what happens | SNR | movies | boundaries planted | found | error, median / largest frames | "
        "intervals hold | other boundaries | windows | atoms that change in a window, most | "
        "atoms blended: lives / equal / published | "
        "atoms wrong a frame: lives / equal / published | equal: off by, median / largest frames | "
        "published: found, others | CPU s |"
    )
    print("|" + "---|" * 15)
    for (part, what, snr), some in runs.items():
        if part != "windows":
            continue
        planted = sum(len(one["planted_at"]) for one in some)
        errors, holds = pooled(some, "atoms method", "errors"), pooled(some, "atoms method", "holds")
        three = [
            " / ".join(
                f"{np.mean([one[m][key] for one in some]):.1f}"
                for m in ("atoms method", "equal", "published")
            )
            for key in ("blended", "wrong")
        ]
        false = {m: sum(one[m]["false"] for one in some) for m in ("atoms method", "published")}
        counts = [len(one["starts"]) + 1 for one in some]
        cells = [
            what, snr, len(some), planted, len(errors), middle_and_largest(errors),
            f"{holds.sum()} of {len(holds)}" if len(holds) else "", false["atoms method"],
            f"{min(counts)} to {max(counts)}", max(one["atoms method"]["most_within"] for one in some), *three,
            middle_and_largest(pooled(some, "equal", "away")),
            f"{len(pooled(some, 'published', 'errors'))}, {false['published']}",
            f"{np.mean([one['cpu_s'] for one in some]):.0f}",
        ]  # fmt: skip
        print("| " + " | ".join(map(str, cells)) + " |")
    print(
        "\n| what happens | SNR | movies | nats an atom and frame | changes planted | found % | false | "
        "error, median / largest frames | within 10 frames % | order right, pairs > 20 frames apart | "
        "intervals hold % | width of intervals, median frames | CPU s |"
    )
    print("|" + "---|" * 13)
    for (part, what, snr), some in runs.items():
        if part != "events":
            continue
        planted, found = (sum(one[key] for one in some) for key in ("planted", "found"))
        errors, inside, width = (pooled(some, key) for key in ("errors", "inside", "width"))
        pairs, right = (sum(one[key] for one in some) for key in ("pairs", "in_order"))
        cells = [
            what, snr, len(some), f"{np.mean([one['nats'] for one in some]):.2f}", planted,
            f"{100 * found / planted:.1f}", sum(one["false"] for one in some), middle_and_largest(errors),
            f"{100 * np.mean(errors <= 10):.0f}" if found else "", f"{right} of {pairs}" if pairs else "",
            f"{100 * inside.mean():.1f}" if found else "", f"{np.median(width):.0f}" if found else "",
            f"{np.mean([one['cpu_s'] for one in some]):.0f}",
        ]  # fmt: skip
        print("| " + " | ".join(map(str, cells)) + " |")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", choices=["windows", "events", "table"])
    parser.add_argument("names", nargs="*", help="what happens (all where none is named); of table: files")
    parser.add_argument("--snr", type=float, default=0.2)
    parser.add_argument("--frames", type=int, default=FRAMES)
    parser.add_argument("--seeds", type=int, nargs=2, default=(0, 1), help="first and last + 1")
    options = parser.parse_args()
    if options.part == "table":
        table(options.names)
        return
    one, every = {"windows": (run_windows, WINDOWS), "events": (run_events, EVENTS)}[options.part]
    for seed in range(*options.seeds):
        for name in options.names or every:
            print(
                json.dumps({"part": options.part} | one(name, options.snr, options.frames, seed)), flush=True
            )


if __name__ == "__main__":
    main()
