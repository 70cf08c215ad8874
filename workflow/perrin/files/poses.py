"""Poses in files: STAR in RELION's convention, and csv with quaternions."""

import warnings
from pathlib import Path

import numpy as np
from gemmi import cif
from scipy.spatial.transform import Rotation

from perrin.files.atomic import write_text
from perrin.files.errors import InputError
from perrin.files.records import Poses
from perrin.files.tables import read_table, write_table

POSE_COLUMNS = {
    "frame": ("", "frame of the movie, from 0"),
    "qw": ("", "rotation body to microscope as a unit quaternion, scalar part"),
    "qx": ("", "rotation body to microscope as a unit quaternion, x"),
    "qy": ("", "rotation body to microscope as a unit quaternion, y"),
    "qz": ("", "rotation body to microscope as a unit quaternion, z"),
    "shift_x_A": (
        "A",
        "where the body's origin appears along image columns, from the box centre (pixel n//2)",
    ),
    "shift_y_A": ("A", "where the body's origin appears along image rows, from the box centre (pixel n//2)"),
    "amplitude": ("", "factor on the model's projection, in units of the frame's noise"),
    "sigma_deg": ("deg", "standard deviation of the orientation about one axis"),
}
VERSION_LINE = "# version 30001"


def write_star(
    path,
    poses,
    stack,
    pixel_A,
    box_px,
    halves=None,
    first_frame=0,
    voltage_kV=300.0,
    cs_mm=0.0,
    amplitude_contrast=0.1,
):
    """Write poses as a RELION 3.1 STAR file: one optics group, one particle a frame.

    poses : Poses; .frame counts in the movie, from 0, and goes into the column perrinFrame
    stack : name of the .mrcs, as RELION is to find it
    halves : (n,) 1 or 2, the independent half a frame belongs to (rlnRandomSubset); left out where None
    first_frame : frame of the movie that is the stack's first image; frame f is image f - first_frame + 1

    rlnAngleRot, Tilt, Psi are those of the matrix R itself. rlnOriginX/YAngst is the translation that brings
    the image to the centre, so it is minus the pose's shift.
    """
    document = cif.Document()
    optics = document.add_new_block("optics")
    loop = optics.init_loop(
        "_rln",
        [
            "OpticsGroup",
            "OpticsGroupName",
            "Voltage",
            "SphericalAberration",
            "AmplitudeContrast",
            "ImagePixelSize",
            "ImageSize",
            "ImageDimensionality",
        ],
    )
    loop.add_row(
        [
            "1",
            "opticsGroup1",
            f"{voltage_kV:.6g}",
            f"{cs_mm:.6g}",
            f"{amplitude_contrast:.6g}",
            f"{pixel_A:.7g}",
            str(int(box_px)),
            "2",
        ]
    )
    stack = Path(stack).as_posix()
    angles = relion_angles(poses.quaternion)
    columns = {
        "_rlnImageName": [cif.quote(f"{frame - first_frame + 1:06d}@{stack}") for frame in poses.frame],
        "_rlnMicrographName": [cif.quote(stack)] * len(poses),
        "_rlnAngleRot": _decimals(angles[:, 0]),
        "_rlnAngleTilt": _decimals(angles[:, 1]),
        "_rlnAnglePsi": _decimals(angles[:, 2]),
        "_rlnOriginXAngst": _decimals(-poses.shift_A[:, 0]),
        "_rlnOriginYAngst": _decimals(-poses.shift_A[:, 1]),
        "_rlnOpticsGroup": ["1"] * len(poses),
    }
    if halves is not None:
        columns["_rlnRandomSubset"] = [str(int(half)) for half in halves]
    columns["_perrinFrame"] = [str(int(frame)) for frame in poses.frame]
    columns["_perrinAmplitude"] = _decimals(poses.amplitude)
    columns["_perrinSigmaDeg"] = _decimals(poses.sigma_deg)
    particles = document.add_new_block("particles")
    loop = particles.init_loop("", list(columns))
    loop.set_all_values(list(columns.values()))
    texts = [block.as_string() for block in document]
    if not len(poses):  # gemmi leaves out a table without rows; readers need its columns all the same
        texts[-1] = "\n".join(["data_particles", "loop_", *columns, ""])
    text = "\n".join(f"{VERSION_LINE}\n\n{block}" for block in texts)
    write_text(path, text)


def read_star(path):
    """Read a RELION 3.1 STAR file into Poses; without perrin's columns amplitudes are 1, sigmas NaN.

    Poses.frame is perrinFrame, or the image's index in its stack (from 0) where that column is absent. Shifts in
    pixels (RELION 3.0) are turned into angstrom.
    """
    if not Path(path).is_file():
        raise InputError(f"{path}: no such STAR file; check the path, or run the stage that writes it")
    try:
        document = cif.read(str(path))
    except (ValueError, RuntimeError) as error:
        raise InputError(f"{path}: not a readable STAR file ({error})") from error
    block = next((block for block in document if block.find_loop("_rlnAngleRot")), None)
    if block is None:
        raise InputError(f"{path}: no table with the column rlnAngleRot; a particles.star of RELION has one")

    def column(name, otherwise=None):
        values = block.find_loop(name)
        if values:
            return np.array([cif.as_number(value) for value in values])
        if otherwise is None:
            raise InputError(f"{path}: the table of particles lacks the column {name[1:]}")
        return np.full(len(angles), otherwise)

    angles = np.stack([column(f"_rlnAngle{name}") for name in ("Rot", "Tilt", "Psi")], axis=-1)
    quaternion = (
        Rotation.from_euler("ZYZ", angles, degrees=True).inv().as_quat(scalar_first=True, canonical=True)
    )
    names = [cif.as_string(name) for name in block.find_loop("_rlnImageName")]
    if block.find_loop("_perrinFrame"):
        frame = column("_perrinFrame")
    else:
        frame = [int(name.split("@")[0]) - 1 for name in names] if names else range(len(angles))
    if block.find_loop("_rlnOriginX") and not block.find_loop("_rlnOriginXAngst"):
        pixel_A = _pixel(path, document)
        origin = pixel_A * np.stack([column("_rlnOriginX"), column("_rlnOriginY")], axis=-1)
    else:
        origin = np.stack([column("_rlnOriginXAngst", 0.0), column("_rlnOriginYAngst", 0.0)], axis=-1)
    return Poses(
        frame=np.array(frame, dtype=np.int64),
        quaternion=quaternion,
        shift_A=-origin,
        amplitude=column("_perrinAmplitude", 1.0),
        sigma_deg=column("_perrinSigmaDeg", np.nan),
    )


def write_poses(path, poses):
    """Write poses as csv, one row a frame, quaternions scalar first."""
    table = {"frame": np.asarray(poses.frame, dtype=np.int64)}
    for index, name in enumerate(["qw", "qx", "qy", "qz"]):
        table[name] = poses.quaternion[:, index]
    table |= {"shift_x_A": poses.shift_A[:, 0], "shift_y_A": poses.shift_A[:, 1]}
    table |= {"amplitude": poses.amplitude, "sigma_deg": poses.sigma_deg}
    write_table(path, table, POSE_COLUMNS)


def read_poses(path):
    """Read the csv of `write_poses`.

    >>> from perrin.files.records import Poses
    >>> upright = np.array([[1.0, 0, 0, 0]])
    >>> poses = Poses(np.array([7]), upright, np.zeros((1, 2)), np.ones(1), np.full(1, 0.5))
    >>> write_poses("poses.csv", poses)
    >>> read_poses("poses.csv").frame.tolist(), abs(relion_angles(upright)).tolist()
    ([7], [[0.0, 0.0, 0.0]])
    """
    table = read_table(path)
    missing = [name for name in POSE_COLUMNS if name not in table]
    if missing:
        raise InputError(f"{path}: no poses: the columns {', '.join(missing)} are missing")
    quaternion = table[["qw", "qx", "qy", "qz"]].to_numpy(float)
    return Poses(
        frame=table["frame"].to_numpy(np.int64),
        quaternion=quaternion / np.linalg.norm(quaternion, axis=1, keepdims=True),
        shift_A=table[["shift_x_A", "shift_y_A"]].to_numpy(float),
        amplitude=table["amplitude"].to_numpy(float),
        sigma_deg=table["sigma_deg"].to_numpy(float),
    )


def relion_angles(quaternion):
    """(n, 4) quaternions to RELION's (rot, tilt, psi), degrees: R = Rz(-psi) Ry(-tilt) Rz(-rot)."""
    if len(quaternion) == 0:
        return np.empty((0, 3))
    with warnings.catch_warnings():
        # At tilt 0 or 180 only the sum or difference of rot and psi is defined; scipy sets one of them to 0.
        warnings.filterwarnings("ignore", message="Gimbal lock", category=UserWarning)
        return Rotation.from_quat(quaternion, scalar_first=True).inv().as_euler("ZYZ", degrees=True)


def _decimals(values):
    return [
        f"{value + 0.0:.6f}" if np.isfinite(value) else "nan" for value in np.asarray(values, dtype=float)
    ]


def _pixel(path, document):
    """The pixel size of a STAR file, angstrom."""
    for block in document:
        for name in ("_rlnImagePixelSize", "_rlnDetectorPixelSize"):
            values = block.find_loop(name)
            if values:
                return cif.as_number(values[0])
    raise InputError(
        f"{path}: shifts are in pixels and there is no rlnImagePixelSize to turn them into angstrom"
    )
