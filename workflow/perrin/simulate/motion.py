"""How the particle moves: a random walk of its orientation and of its place in the field."""

import numpy as np
from scipy.spatial.transform import Rotation


def orientations(spec, n_frames, rng):
    """Orientations of a tumbling body, (n_frames, 4) unit quaternions, scalar first, w >= 0.

    spec : rms_deg 2.5 (angle of one step, all axes together), spin_rms_deg 0 (further, about body_axis),
        start (quaternion; random where absent), mode: walk or random (unrelated views),
        confine: {kind: cone, body_axis, lab_axis, half_angle_deg} or {kind: band, body_axis, lab_axis,
        centre_deg, half_width_deg}: steps that would leave it are drawn again,
        jumps: [{frame, rotation_deg}], about a random axis.

    >>> q = orientations({"rms_deg": 2.5}, 100, np.random.default_rng(0))
    >>> q.shape, bool(np.allclose(np.linalg.norm(q, axis=1), 1))
    ((100, 4), True)
    """
    if spec.get("mode", "walk") == "random":
        return Rotation.random(n_frames, rng=rng).as_quat(scalar_first=True, canonical=True)
    step = np.deg2rad(spec.get("rms_deg", 2.5)) / np.sqrt(3)
    spin = np.deg2rad(spec.get("spin_rms_deg", 0.0))
    confine = spec.get("confine")
    body = _unit((confine or {}).get("body_axis", spec.get("body_axis", [0, 0, 1])))
    jumps = {int(jump["frame"]): np.deg2rad(jump["rotation_deg"]) for jump in spec.get("jumps", [])}

    def allowed(matrix):
        if confine is None:
            return True
        cosine = np.clip(_unit(confine["lab_axis"]) @ (matrix @ body), -1, 1)
        angle = np.rad2deg(np.arccos(cosine))
        if confine["kind"] == "cone":
            return angle <= confine["half_angle_deg"]
        return abs(angle - confine["centre_deg"]) <= confine["half_width_deg"]

    if "start" in spec:
        now = Rotation.from_quat(spec["start"], scalar_first=True).as_matrix()
    else:
        now = Rotation.random(rng=rng).as_matrix()
        while not allowed(now):
            now = Rotation.random(rng=rng).as_matrix()
    out = np.empty((n_frames, 3, 3))
    for frame in range(n_frames):
        if frame > 0:
            for _ in range(1000):
                turn = rng.normal(0, step, 3) + (now @ body) * rng.normal(0, spin)
                if frame in jumps:
                    turn = _unit(rng.normal(size=3)) * jumps[frame]
                new = Rotation.from_rotvec(turn).as_matrix() @ now
                if frame in jumps or allowed(new):
                    break
            else:
                new = now
            now = new
        out[frame] = now
    return Rotation.from_matrix(out).as_quat(scalar_first=True, canonical=True)


def positions(spec, n_frames, field_px, rng):
    """Places of the body's origin in the field, (n_frames, 2) px, columns x, y.

    spec : rms_px 0.5 (of one step per axis), pull 0.002 (share of the way back per frame), limit_px
        (reflecting walls about the middle of the field; absent: the border is no wall),
        start_px, drift_px [dx, dy] per frame, path [[frame, x, y], ...],
        jumps: [{frame, shift_px: [dx, dy]}],
        mode: walk or random (spread_px about the middle).
    field_px : (width, height)

    >>> positions({"rms_px": 0.5}, 100, (152, 152), np.random.default_rng(0)).shape
    (100, 2)
    """
    centre = (np.asarray(field_px, float) - 1) / 2
    if spec.get("mode", "walk") == "random":
        return centre + rng.normal(0, spec.get("spread_px", 1.5), (n_frames, 2))
    step, pull = spec.get("rms_px", 0.5), spec.get("pull", 0.002)
    drift = np.asarray(spec.get("drift_px", [0.0, 0.0]), float)
    limit = spec.get("limit_px")
    jumps = {int(jump["frame"]): np.asarray(jump["shift_px"], float) for jump in spec.get("jumps", [])}
    if "path" in spec:
        knots = np.asarray(spec["path"], float)
        frames = np.arange(n_frames)
        aim = np.stack([np.interp(frames, knots[:, 0], knots[:, axis]) for axis in (1, 2)], 1)
        now = aim[0].copy()
    else:
        aim = np.repeat(centre[None], n_frames, 0)
        now = np.asarray(spec.get("start_px", centre), float).copy()
    out = np.empty((n_frames, 2))
    for frame in range(n_frames):
        if frame > 0:
            now = now + aim[frame] - aim[frame - 1] + pull * (aim[frame] - now) + drift
            now = now + rng.normal(0, step, 2) + jumps.get(frame, 0.0)
            if limit is not None:
                away = now - aim[frame]
                over = np.abs(away) > limit
                now = aim[frame] + np.where(over, np.sign(away) * (2 * limit - np.abs(away)), away)
        out[frame] = now
    return out


def _unit(vector):
    vector = np.asarray(vector, float)
    return vector / np.linalg.norm(vector)
