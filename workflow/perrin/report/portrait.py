"""A window's atoms as a still picture: shaded spheres seen along an axis, as SVG, for cards, papers and talks."""

import numpy as np
from markupsafe import Markup

from perrin.report.plots import Picture

# viridis, as the 3D view has it, from coordination 1 to 12
STOPS = ("#440154", "#3e4989", "#26828e", "#35b779", "#b5de2b", "#fde725")
LOW, HIGH = 1, 12
TURN = ((0.35, 0.0), (0.0, 0.5))  # the 3D view's first camera: about x, then about y, radians


def portrait(scene, name, edge=300):
    """Picture of the atoms of a scene (perrin.report.atoms3d) in its first camera, coloured by coordination.

    name : distinct on a page, for the gradients' ids; None without a scene
    """
    if scene is None:
        return None
    xyz = np.array(scene["xyz"], float).reshape(-1, 3) / 100 @ camera().T
    reach = np.linalg.norm(xyz, axis=1).max() + scene["radius"]
    unit = 0.48 * edge / reach
    numbers = np.clip(scene.get("cn") or np.full(len(xyz), HIGH), LOW, HIGH).astype(int)
    parts = ["<defs>"]
    for cn in np.unique(numbers):
        base = _colour((cn - LOW) / (HIGH - LOW))
        stops = [
            (0, _mix(base, 255, 0.55)),
            (0.4, base),
            (0.92, _mix(base, 0, 0.42)),
            (1, _mix(base, 0, 0.62)),
        ]
        parts.append(f'<radialGradient id="{name}-{cn}" cx=".35" cy=".3" r=".75">')
        parts += [f'<stop offset="{at}" stop-color="rgb({c[0]},{c[1]},{c[2]})"/>' for at, c in stops]
        parts.append("</radialGradient>")
    parts.append("</defs>")
    radius = 0.85 * scene["radius"] * unit
    for k in np.argsort(xyz[:, 2], kind="stable"):
        x, y = edge / 2 + xyz[k, 0] * unit, edge / 2 - xyz[k, 1] * unit
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" fill="url(#{name}-{numbers[k]})"/>')
    alt = f"{len(xyz)} {scene['element']} atoms, coloured by coordination"
    svg = f'<svg viewBox="0 0 {edge} {edge}" role="img" aria-label="{alt}">{"".join(parts)}</svg>'
    return Picture(Markup(svg))


def camera():
    """(3, 3) rotation of the first camera."""
    (a, _), (_, b) = TURN
    about_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    about_y = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    return about_x @ about_y


def _colour(share):
    rgb = np.array([[int(s[i : i + 2], 16) for i in (1, 3, 5)] for s in STOPS], float)
    place = np.clip(share, 0, 1) * (len(STOPS) - 1)
    return [int(round(np.interp(place, range(len(STOPS)), rgb[:, i]))) for i in range(3)]


def _mix(colour, to, share):
    return [int(round(c + (to - c) * share)) for c in colour]
