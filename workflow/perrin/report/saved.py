"""The report's figures as files of their own, with the numbers that they draw beside them, for papers and talks."""

import re

from perrin.files.atomic import whole, write_text
from perrin.files.tables import write_table
from perrin.report.figures import FIGURE_COLUMNS
from perrin.report.plots import Picture

NAMESPACE = 'xmlns="http://www.w3.org/2000/svg"'


def save_all(folder, figures, style):
    """Write the figures of a trajectory; returns the names of the pictures, sorted.

    folder : to write into; style : the page's style sheet
    figures : {name: Picture, or PNG as bytes, or None}; a Picture becomes NAME.svg and, where it has numbers,
        NAME.csv with its sidecar
    """
    names = []
    for name, figure in sorted(figures.items()):
        if figure is None:
            continue
        if isinstance(figure, Picture):
            names.append(f"{name}.svg")
            write_text(folder / names[-1], standalone(figure.svg, style))
            if figure.data is not None:
                write_table(folder / f"{name}.csv", figure.data, FIGURE_COLUMNS)
            continue
        names.append(f"{name}.png")
        with whole(folder / names[-1]) as temporary:
            temporary.write_bytes(figure)
    return names


def standalone(svg, style):
    """A plot of the page as a file: its size, the colours of the light page and the rules for plots go into it."""
    width, height = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg).groups()
    colours = re.search(r":root \{(.*?)\}", style, re.S)[1]
    rules = re.search(r"/\* plots \*/(.*?)(?:@media|/\*)", style, re.S)[1]
    inside = f"<style>svg {{{colours} background: #fff;}}{rules}</style>"
    head, rest = svg.split(">", 1)
    return f'{head} {NAMESPACE} width="{width}" height="{height}">{inside}{rest}\n'
