"""The part of a large field that is searched for the particle, and the window about it whose static field is kept."""

import numpy as np

from perrin.frames.energy import BIN_PX

WINDOW_PX = 512  # of the field, enough to measure the angles of graphene
MARGIN_PX = 48  # room for the box to move before the region must follow


def region_size(radius_px, box_px):
    """Edge of the region, px: the box, or what a particle of this radius will need, and room to move."""
    return int(np.ceil((max(box_px or 0, 3.6 * radius_px) + 2 * MARGIN_PX) / 16)) * 16


def region_about(place, field, size):
    """Rows and columns (y0, y1, x0, x1): `size` px about a place (x, y), or all of an axis not much longer."""
    edges = []
    for length, at in zip(field, (place[1], place[0])):
        if length <= 1.3 * size:
            edges += [0, length]
        else:
            low = int(np.clip(at - size // 2, 0, length - size)) // BIN_PX * BIN_PX
            edges += [low, low + size]
    return tuple(edges)


def leaves(place, region, field, half_px):
    """First row at which a box of this half width would leave the region where the field goes on, or None.

    place : (n, 2) px in the field
    """
    y0, y1, x0, x1 = region
    out = np.zeros(len(place), bool)
    for at, low, high, length in ((place[:, 1], y0, y1, field[0]), (place[:, 0], x0, x1, field[1])):
        out |= (at - half_px < low) & (low > 0)
        out |= (at + half_px > high) & (high < length)
    return int(np.argmax(out)) if out.any() else None


def carried(message, old, new):
    """The probability of the place, (rows, columns), carried from one region to the next."""
    if old == new:
        return message
    out = np.full(((new[1] - new[0]) // BIN_PX, (new[3] - new[2]) // BIN_PX), 1e-9, np.float32)
    down, right = (new[0] - old[0]) // BIN_PX, (new[2] - old[2]) // BIN_PX
    y0, x0 = max(down, 0), max(right, 0)
    y1, x1 = min(message.shape[0], down + out.shape[0]), min(message.shape[1], right + out.shape[1])
    if y1 > y0 and x1 > x0:
        out[y0 - down : y1 - down, x0 - right : x1 - right] += message[y0:y1, x0:x1]
    return out / out.sum()


def window_about(region, field):
    """Rows and columns (y0, y1, x0, x1) whose static field is kept: the region, grown to WINDOW_PX where it is less."""
    edges = []
    for low, high, length in ((region[0], region[1], field[0]), (region[2], region[3], field[1])):
        size = min(length, max(high - low, WINDOW_PX))
        first = int(np.clip((low + high - size) // 2, 0, length - size))
        edges += [first, first + size]
    return tuple(edges)


def inside(faulty, window):
    """Faulty pixels (m, 2) inside of a window, counted from its corner."""
    y0, y1, x0, x1 = window
    inside = (faulty >= [y0, x0]).all(1) & (faulty < [y1, x1]).all(1)
    return faulty[inside] - [y0, x0]
