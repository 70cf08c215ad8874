"""The accepted frames of a trajectory, with all that travels beside an image: number, place of its box, centre."""

from dataclasses import dataclass, replace

import numpy as np

from perrin.files.errors import InputError
from perrin.files.stacks import read_stack, stack_info
from perrin.files.tables import read_table


@dataclass(frozen=True)
class Frames:
    """Accepted frames, in time order.

    images : (f, n, n) float32, unit noise
    number : (f,) int, frame of the movie; row : (f,) int, its image in the stack
    box_px : (f, 2) int, pixel of the field on which the middle of the box lies, x and y
    centre_A : (f, 2) tracked centre of the particle from the box centre
    gap : (f,) frames of the movie since the accepted frame before, 1 for the first
    pixel_A : angstrom
    """

    images: np.ndarray
    number: np.ndarray
    row: np.ndarray
    box_px: np.ndarray
    centre_A: np.ndarray
    gap: np.ndarray
    pixel_A: float

    def __len__(self):
        return len(self.number)

    @property
    def box_A(self):
        """(f, 2) place of the boxes in the field."""
        return self.box_px * self.pixel_A

    @property
    def box_size_px(self):
        """Side of a box."""
        return self.images.shape[-1]

    def take(self, rows):
        """Some of the frames, in time order (index array, slice or mask)."""
        number = self.number[rows]
        return replace(
            self,
            images=self.images[rows],
            number=number,
            row=self.row[rows],
            box_px=self.box_px[rows],
            centre_A=self.centre_A[rows],
            gap=gaps(number),
        )


def images_of(stack, data):
    """(f, n, n) images of the same frames in another stack of the trajectory, which has all rows of the first.

    stack : mrcs; data : Frames
    """
    first, last = int(data.row[0]), int(data.row[-1])
    (count, n, _), _ = stack_info(stack)
    if count <= last or n != data.images.shape[-1]:
        raise InputError(
            f"{stack} has {count} images of {n} px, the clean frames need {last + 1} of {data.images.shape[-1]} px; "
            "run denoise again"
        )
    return read_stack(stack, first, last + 1)[data.row - first]


def gaps(number):
    """Frames of the movie since the one before, 1 for the first."""
    return np.diff(number, prepend=number[0] - 1).astype(float) if len(number) else np.zeros(0)


def read_accepted(stack, frames, tracks, first_frame=None, last_frame=None, least=20):
    """Read the accepted frames between two frames of the movie (both included; None: the stack's ends).

    stack : mrcs, one image for each row of `tracks`; frames : csv with frame, accepted; tracks : csv of track
    least : fewer accepted frames are refused
    """
    (count, _, _), pixel_A = stack_info(stack)
    table, judged = read_table(tracks), read_table(frames)
    if len(table) != count or len(judged) != count:
        raise InputError(
            f"{stack} has {count} images, {tracks} {len(table)} rows and {frames} {len(judged)}; run track again"
        )
    number = table["frame"].to_numpy(int)
    first = number[0] if first_frame is None else first_frame
    last = number[-1] if last_frame is None else last_frame
    row = np.flatnonzero((judged["accepted"].to_numpy(int) == 1) & (number >= first) & (number <= last))
    if len(row) < least:
        raise InputError(
            f"frames {first}-{last} hold {len(row)} accepted frames, {least} are needed; "
            f"accept more by config/frames/NAME.csv, or choose a longer stretch (reasons are in {frames})"
        )
    images = read_stack(stack, int(row[0]), int(row[-1]) + 1)[row - row[0]]
    box = table[["box_x_px", "box_y_px"]].to_numpy(int)[row]
    centre = table[["x_px", "y_px"]].to_numpy(float)[row] - box
    return Frames(images, number[row], row, box, centre * pixel_A, gaps(number[row]), float(pixel_A))
