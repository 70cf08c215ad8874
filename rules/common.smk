# What the other rule files share; the only one with functions.
import os
import shutil
import sys
from functools import cache
from pathlib import Path

ROOT = Path(workflow.current_basedir).parent
sys.path.insert(0, str(ROOT / "workflow"))  # scripts inherit it

from perrin import needs
from perrin.closure import code_digests
from perrin.files.elements import TABLE, element
from perrin.files.errors import InputError
from perrin.files.fingerprint import fingerprint
from perrin.settings import complete, digest, read_schema, read_sheet, seed_of


def here_or_home(path):
    """The file in the working directory, or else the one that comes with perrin; as named where there is neither."""
    return path if Path(path).exists() or not (ROOT / path).exists() else str(ROOT / path)


configfile: here_or_home("config/config.yaml")


def checked(read, *arguments):
    """What a reader of settings returns; its one sentence ends the run before any job."""
    try:
        return read(*arguments)
    except InputError as error:
        sys.exit(f"error: {error}")


def refuse_unwritable(folder):
    """Snakemake would end in a traceback where it cannot keep its own records."""
    place = Path(folder) if Path(folder).exists() else Path()
    if not os.access(place, os.W_OK):
        sys.exit(
            f"error: {place.resolve()}: not writable (no permission, or a read-only file system); work in a folder where you "
            "may write (--directory FOLDER)"
        )


def schema(name):
    return read_schema(ROOT / "config" / "schemas" / f"{name}.schema.yaml")


refuse_unwritable(".snakemake")
config = checked(complete, config, schema("config"))
SHEET = here_or_home(config["trajectories"])
ROWS = {row["name"]: row for row in checked(read_sheet, SHEET, schema("trajectories"))}
TRAJECTORIES = list(ROWS)
# The code as it was when this Snakemake first looked: jobs by the thousand share a dozen answers.
digests_of_code = cache(code_digests)
DEMO = "results/demo/movie/movie.mrc"
UNFINISHED = "results/report/unfinished"

# What a stage's function takes besides its config section: facts of the sample sheet, and "seed".
FACTS = {
    "track": "movie name pixel_size_A frame_rate_hz polarity x_px y_px box_px first_frame last_frame dose_e_px seed "
    "together",
    "track_facts": "name pixel_size_A polarity x_px y_px box_px first_frame last_frame seed",
    "subtract_graphene": "pixel_size_A",
    "denoise": "seed",
    "classes2d": "element frame_override",
    "average3d": "element frame_rate_hz polarity start_model seed",
    "segment": "frame_rate_hz segments_override seed",
    "window3d": "element window seed",
    "model": "element polarity window seed",
    "events": "frame_rate_hz seed",
    "statistics": "name element frame_rate_hz window_name seed",
    "dynamics": "name element frame_rate_hz seed",
}


wildcard_constraints:
    trajectory="|".join(TRAJECTORIES),
    window=r"f\d{6}\d*-\d{6}\d*",


localrules:
    all,


def section(stage, of_stage=None):
    """cfg of a stage's rule: its config section, the facts of the sheet that it needs, its seed.

    of_stage : whose section and seed these are, where not its own
    """

    def of(wildcards):
        row, cfg = ROWS[wildcards.trajectory], dict(config[of_stage or stage])
        for fact in FACTS[stage].split():
            if fact == "seed":
                cfg["seed"] = seed_of(config["seed"], of_stage or stage, row["name"])
            elif fact == "window":
                cfg["first_frame"], cfg["last_frame"] = frames_of(wildcards.window)
            elif fact == "window_name":
                cfg["window"] = wildcards.window
            elif fact == "movie":
                cfg["movie"] = movie_path(row["name"])
            elif fact == "together":
                cfg["together"] = next(iter(followed_together(wildcards)), None)
            elif fact in OVERRIDES:
                cfg[fact] = next(iter(override(fact)(wildcards)), None)
            else:
                cfg[fact] = row[fact]
        return cfg

    return of


def movie_alone(wildcards):
    """cfg of track_together, which takes all else from files."""
    return {"movie": movie_path(wildcards.trajectory)}


def code(module, elements=True, shown=None, content=False):
    """Digests of the code that a rule runs, of the element's constants where the code reads them, of the files in the
    folder `shown`, which are part of what it writes, and with `content` of what the movie holds.
    """

    def of(wildcards):
        digests = dict(digests_of_code(module))
        if elements and "perrin.files.elements" in digests and "trajectory" in wildcards.keys():
            symbol = ROWS[wildcards.trajectory]["element"]
            digests[f"config/{TABLE.name} {symbol}"] = digest(element(symbol))
        for path in sorted((ROOT / shown).rglob("*")) if shown else []:
            if path.is_file():
                digests[f"{shown}/{path.name}"] = digest(path.read_text(encoding="utf-8"))
        if content and movie_path(wildcards.trajectory) != DEMO:
            digests["content of the movie"] = fingerprint(movie_path(wildcards.trajectory))
        return digests

    return of


OVERRIDES = {
    "frame_override": "config/frames/{}.csv",
    "segments_override": "config/segments/{}.tsv",
}


def override(fact):
    """The file by which a person overrules frames or windows of a trajectory, where there is one."""

    def of(wildcards):
        path = OVERRIDES[fact].format(wildcards.trajectory)
        return [path] if Path(path).exists() else []

    return of


def start_model(wildcards):
    """The model or map that a trajectory starts from, where the sheet names one that is there; else average3d says so."""
    path = ROWS[wildcards.trajectory]["start_model"]
    return [path] if path and Path(path).exists() else []


def movie_path(trajectory):
    """Where the movie of a trajectory is: as the sheet says, and the demo's in the working directory."""
    path = Path(ROWS[trajectory]["movie"])
    at_home = os.path.normpath(path.absolute()) == os.path.normpath(ROOT / DEMO)
    return DEMO if at_home else str(path)


def movie(wildcards):
    """The movie of a trajectory, or nothing where there is none: track then says so, and others go on.

    A person's movie counts by its content (see code), since its date changes whenever it is copied.
    """
    path = movie_path(wildcards.trajectory)
    if path == DEMO:
        return [path]
    return [ancient(path)] if Path(path).exists() else []


@cache
def rows_of_movies():
    """{movie: names of its rows in the sheet's order}, asked for once: a thousand rows make a million pairs."""
    found = {}
    for name in TRAJECTORIES:
        found.setdefault(os.path.realpath(movie_path(name)), []).append(name)
    return found


def rows_of_movie(trajectory):
    """Names of the rows that share a trajectory's movie, its own among them, in the sheet's order."""
    return rows_of_movies()[os.path.realpath(movie_path(trajectory))]


def followed_together(wildcards):
    """Where the particles of a movie that has several were followed in one reading; nothing for the only one."""
    rows = rows_of_movie(wildcards.trajectory)
    return [f"results/{rows[0]}/together"] if len(rows) > 1 else []


def facts_of_rows(wildcards):
    """What is asked for each row of a movie, as files."""
    return [f"results/{name}/track_facts.json" for name in rows_of_movie(wildcards.trajectory)]


def facts_of_shared(wildcards):
    """The same of one row, where its movie has others."""
    return [f"results/{wildcards.trajectory}/track_facts.json"] if followed_together(wildcards) else []


def frames_of(window):
    """First and last frame of a window, from its name."""
    first, last = window[1:].split("-")
    return int(first), int(last)


def windows_of(wildcards):
    """Names of a trajectory's windows, in time order; waits for segment."""
    return listed(checkpoints.segment.get(trajectory=wildcards.trajectory).output.windows)


def listed(table):
    """The column `window` of a windows.tsv."""
    lines = Path(table).read_text().splitlines()
    column = lines[0].split("\t").index("window")
    return [line.split("\t")[column] for line in lines[1:]]


def in_windows(*names):
    """Paths of files of all windows of a trajectory, window by window."""

    def of(wildcards):
        folder = f"results/{wildcards.trajectory}/windows"
        return [f"{folder}/{window}/{name}" for window in windows_of(wildcards) for name in names]

    return of


# What the report reads of every trajectory and of every window.
OF_TRAJECTORY = [
    *[
        "track/field.png",
        "track/spectrum.npz",
        "classes2d/classes.gif",
        "classes2d/frames.csv",
        "classes2d/particle.json",
    ],
    *[
        "average3d/poses.csv",
        "average3d/correlation.csv",
        "average3d/coverage.json",
        "average3d/lattice.json",
    ],
    *["segment/windows.tsv", "segment/evidence.csv", "segment/tree.json"],
    *[
        "events/events.csv",
        "events/events.svg",
        "events/evidence.npz",
        "dynamics/states.csv",
        "dynamics/changes.csv",
    ],
    *["dynamics/lives.csv", "dynamics/rates.csv", "dynamics/category.json"],
]
OF_WINDOW = [
    *["atoms.csv", "atoms_stats.csv", "depth.csv", "map.mrc", "density.mrc", "fsc.csv"],
    *["model.json", "coverage.json", "profile.json"],
]


def files_of_windows(wildcards):
    """Every file of every window that the report shows."""
    return [
        f"results/{name}/windows/{window}/{file}"
        for name in TRAJECTORIES
        for window in listed(checkpoints.segment.get(trajectory=name).output.windows)
        for file in OF_WINDOW
    ]


def truth_of_demo():
    """Truth of the demo's movie, which the report sets beside what was found, when the sheet asks for the demo."""
    return {name: "results/demo/truth" for name in TRAJECTORIES if movie_path(name) == DEMO}


def mb(base, share):
    """Memory of a job [MB]: a base and a share of the input's size, half as much again at each attempt."""

    def of(wildcards, input, attempt):
        return int((base + share * input.size_mb) * (1 + 0.5 * (attempt - 1)))

    return of


def stack_of(stage, wildcards):
    """Size of the boxes that a job holds [MB]: of a window for the stages of windows, else of the trajectory."""
    row = ROWS[wildcards.trajectory]
    sheet = {fact: row[fact] for fact in ("first_frame", "last_frame", "box_px")}
    stack = f"results/{wildcards.trajectory}/track/particle.mrcs"
    frames, box_px = needs.frames_and_box(stack, movie_path(wildcards.trajectory), **sheet)
    if stage in needs.WINDOW_STAGES:
        first, last = frames_of(wildcards.window)
        frames = last - first + 1
    return needs.stack_mb(frames, box_px)


def memory(stage):
    """Memory of a stage's job [MB], predicted from its frames and their boxes; more at each attempt."""
    return needed(stage, needs.memory_mb)


def runtime(stage):
    """Time of a stage's job [minutes], predicted from its frames and their boxes; more at each attempt."""
    return needed(stage, needs.runtime_min)


def needed(stage, of_stage):
    """What a stage needs of one thing."""

    def of(wildcards, attempt):
        particles = len(rows_of_movie(wildcards.trajectory)) if stage == "track_together" else 1
        return of_stage(stage, stack_of(stage, wildcards), attempt, particles)

    return of


def minutes(base, per_gb):
    """Time of a job [minutes]: a base and so much for each GB of input, twice as much at each attempt."""

    def of(wildcards, input, attempt):
        return int((base + per_gb * input.size_mb / 1000) * attempt) + 1

    return of


def say_where(page):
    """Tell the terminal where the report is; the one of an earlier run that failed is outdated."""
    shutil.rmtree(UNFINISHED, ignore_errors=True)
    if Path(page).exists():
        print(f"\nThe report is {Path(page).resolve()}\n", file=sys.stderr)


def report_the_rest():
    """After a failure: say which trajectories did not get to the end and why, and report the others."""
    settings = {stage: config[stage] for stage in ("summary", "report")}
    try:
        from perrin.report.unfinished import unfinished

        rows = list(ROWS.values())
        page, why = unfinished(rows, "results", "logs", truth_of_demo(), *settings.values())
    except Exception as error:  # whatever it is, it must not hide what failed before
        print(f"\nno report of the others: {error}", file=sys.stderr)
        return
    print(f"\n{len(why)} of {len(ROWS)} trajectories did not get to the end:", file=sys.stderr)
    for name, sentence in why.items():
        print(f"  {name}: {sentence}", file=sys.stderr)
    if page:
        print(f"The report of the others is {Path(page).resolve()}\n", file=sys.stderr)
