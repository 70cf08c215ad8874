"""Small plots as inline SVG, drawn in the page's own colours, so that they follow light, dark and print.

A plot is a list of SVG texts on Axes. Colours are classes of the page's style (s1 to s8: series; quiet; failed).
"""

from dataclasses import dataclass
from html import escape

import numpy as np
from markupsafe import Markup

LEFT, RIGHT, TOP, BOTTOM = 68, 12, 10, 38


@dataclass(frozen=True)
class Picture:
    """A finished plot and the numbers that it draws.

    svg : Markup, stands in a template as it is; data : {column: values} of equal length, or None
    """

    svg: Markup
    data: dict | None = None

    def __html__(self):
        return self.svg


@dataclass(frozen=True)
class Axes:
    """A rectangle of width x height pixels with data limits (low, high) along x and y."""

    width: int
    height: int
    x: tuple
    y: tuple

    def px(self, values):
        """Horizontal place of data values, pixels."""
        return LEFT + (np.asarray(values, float) - self.x[0]) / (self.x[1] - self.x[0]) * (
            self.width - LEFT - RIGHT
        )

    def py(self, values):
        """Vertical place of data values, pixels from above."""
        share = (np.asarray(values, float) - self.y[0]) / (self.y[1] - self.y[0])
        return self.height - BOTTOM - share * (self.height - TOP - BOTTOM)


def axes(x, y, width=340, height=210, margin=0.06):
    """Axes that hold the finite values of x and y (each array-like), with a margin along y."""
    return Axes(width, height, limits(x, 0.0), limits(y, margin))


def limits(values, margin):
    """(low, high) of the finite values, never of zero width."""
    values = np.asarray(values, float).ravel()
    values = values[np.isfinite(values)]
    if not len(values):
        return 0.0, 1.0
    low, high = float(values.min()), float(values.max())
    if high - low < 1e-9 * max(abs(low), abs(high), 1e-9):
        half = 0.05 * abs(low) or 0.5
        low, high = low - half, high + half
    return low - margin * (high - low), high + margin * (high - low)


def ticks(low, high, most=5):
    """Round numbers from low to high, at most so many or so."""
    raw = (high - low) / most
    power = 10 ** np.floor(np.log10(raw))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= raw * 0.999)
    return np.arange(np.ceil(low / step - 1e-9), np.floor(high / step + 1e-9) + 1) * step + 0.0


def frame(on, xlabel, ylabel, x_ticks=None):
    """Grid, ticks and labels."""
    parts = []
    bottom, right = on.height - BOTTOM, on.width - RIGHT
    for value in ticks(*on.y, most=4):
        y = on.py(value)
        parts.append(f'<path class="grid" d="M{LEFT} {y:.1f}H{right}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{_text(value)}</text>')
    marks = ticks(*on.x, most=max(3, on.width // 90)) if x_ticks is None else x_ticks
    for value in marks:
        x = on.px(value)
        parts.append(f'<path class="axis" d="M{x:.1f} {bottom}v4"/>')
        parts.append(f'<text x="{x:.1f}" y="{bottom + 16}" text-anchor="middle">{_text(value)}</text>')
    parts.append(f'<path class="axis" d="M{LEFT} {TOP}V{bottom}H{right}"/>')
    middle = (LEFT + right) / 2
    parts.append(
        f'<text class="label" x="{middle:.0f}" y="{on.height - 5}" text-anchor="middle">{escape(xlabel)}</text>'
    )
    y = (TOP + bottom) / 2
    parts.append(
        f'<text class="label" transform="translate(12 {y:.0f}) rotate(-90)" text-anchor="middle">'
        f"{escape(ylabel)}</text>"
    )
    return "".join(parts)


def line(on, x, y, kind="s1"):
    """A line through the finite points, broken where there is none."""
    path, pen = [], "M"
    for a, b, ok in zip(on.px(x), on.py(y), np.isfinite(np.asarray(y, float))):
        if ok:
            path.append(f"{pen}{a:.1f} {b:.1f}")
        pen = "L" if ok else "M"
    return f'<path class="line {kind}" d="{"".join(path)}"/>' if path else ""


def band(on, x, low, high, kind="s1"):
    """The area between two lines, in pieces where a value is missing."""
    low, high = np.asarray(low, float), np.asarray(high, float)
    known = np.isfinite(low) & np.isfinite(high)
    parts, first = [], 0
    for end in [*np.flatnonzero(~known), len(known)]:
        piece = slice(first, end)
        first = end + 1
        if piece.stop - piece.start < 2:
            continue
        a = on.px(x)[piece]
        up = [f"{p:.1f} {q:.1f}" for p, q in zip(a, on.py(high[piece]))]
        down = [f"{p:.1f} {q:.1f}" for p, q in zip(a[::-1], on.py(low[piece])[::-1])]
        parts.append(f'<path class="band {kind}" d="M{"L".join(up + down)}Z"/>')
    return "".join(parts)


def box(on, x0, x1, low, high, kind):
    """A filled rectangle; low and high None: the whole height."""
    a, b = sorted(map(float, on.px([x0, x1])))
    y0 = on.height - BOTTOM if low is None else float(on.py(low))
    y1 = TOP if high is None else float(on.py(high))
    y0, y1 = max(y0, y1), min(y0, y1)
    return f'<rect class="{kind}" x="{a:.1f}" y="{y1:.1f}" width="{b - a:.1f}" height="{max(y0 - y1, 0.5):.1f}"/>'


def dots(on, x, y, kind="s1", size=3.5, titles=None):
    """Points, each with a title (list of texts) that a pointer shows."""
    parts = []
    for index, (a, b) in enumerate(zip(on.px(x), on.py(y))):
        if np.isfinite(a) and np.isfinite(b):
            title = f"<title>{escape(titles[index])}</title>" if titles is not None else ""
            parts.append(f'<circle class="dot {kind}" cx="{a:.1f}" cy="{b:.1f}" r="{size}">{title}</circle>')
    return "".join(parts)


def whiskers(on, x, low, high, kind="s1", across=False):
    """Error bars along y, or along x where `across` (then x is y)."""
    path = []
    for at, a, b in zip(x, low, high):
        if np.isfinite([at, a, b]).all():
            if across:
                path.append(f"M{on.px(a):.1f} {on.py(at):.1f}H{on.px(b):.1f}")
            else:
                path.append(f"M{on.px(at):.1f} {on.py(a):.1f}V{on.py(b):.1f}")
    return f'<path class="thin {kind}" d="{"".join(path)}"/>' if path else ""


def level(on, value, text):
    """A dashed line at a value of y, with a word at its right end."""
    y = float(on.py(value))
    return (
        f'<path class="level" d="M{LEFT} {y:.1f}H{on.width - RIGHT}"/>'
        f'<text x="{on.width - RIGHT - 3}" y="{y - 4:.1f}" text-anchor="end">{escape(text)}</text>'
    )


def upright(on, value, kind="level"):
    """A dashed line at a value of x."""
    return f'<path class="{kind}" d="M{float(on.px(value)):.1f} {TOP}V{on.height - BOTTOM}"/>'


def svg(on, parts, alt):
    """The finished picture; alt: what it shows, for those who do not see it."""
    return Markup(
        f'<svg viewBox="0 0 {on.width} {on.height}" role="img" aria-label="{escape(alt, quote=True)}">'
        f"{''.join(parts)}</svg>"
    )


def binned(x, y, most):
    """(middle of x, 10 %, median, 90 % of y) in at most so many bins of equally many points."""
    x, y = np.asarray(x, float), np.asarray(y, float)
    known = np.isfinite(x) & np.isfinite(y)
    x, y = x[known], y[known]
    if not len(x):
        return (np.zeros(0),) * 4
    edges = np.unique(np.linspace(0, len(x), min(most, len(x)) + 1).astype(int))
    pieces = [slice(a, b) for a, b in zip(edges[:-1], edges[1:])]
    low, mid, high = np.array([_three_of(np.sort(y[piece])) for piece in pieces]).T
    return np.array([x[piece].mean() for piece in pieces]), low, mid, high


def _three_of(ordered):
    """10 %, median and 90 % of ordered numbers, as numpy.quantile has them, at a tenth of its cost."""
    place = (len(ordered) - 1) * np.array([0.1, 0.5, 0.9])
    below = place.astype(int)
    above = np.minimum(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


def _text(value):
    return f"{value:.6g}".replace("-", "−")
