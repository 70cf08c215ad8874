"""The tracker on simulated movies whose path is known."""

import numpy as np
import pytest

from perrin.files.errors import InputError
from perrin.frames.path import follow_movie
from perrin.frames.reading import Wanted
from perrin.imaging.rotations import matrices
from perrin.simulate.movie import simulate_movie

SETTINGS = {"first_frames": 60, "block_frames": 1200, "walk_px": None, "shadow": True, "box_px": None}
SPEC = {
    "n_frames": 240,
    "field_px": [112, 104],
    "snr": 0.25,
    "particle": {"length": 6, "cutoff": 1},
    "motion": {"rms_px": 0.5, "limit_px": 12},
    "background": {"graphene": [{"angle_deg": 7.0}], "liquid": {}},
}


class Frames:
    """A movie in memory, as open_movie would give it."""

    def __init__(self, counts):
        self.counts, self.shape, self.dtype, self.path = counts, counts.shape, counts.dtype, "movie.mrc"

    def sections(self, first, stop):
        return self.counts[first:stop]

    def window(self, first, stop, window):
        return self.counts[first:stop, window[0] : window[1], window[2] : window[3]]


def simulated(**changes):
    truth, chunks = simulate_movie({**SPEC, **changes})
    counts = np.concatenate(list(chunks))
    mass = np.array([xyz.mean(0) for *_, xyz in truth.states])[truth.state - 1]
    lab = np.einsum("nij,nj->ni", matrices(truth.quaternion), mass)
    return counts, truth.origin_px + lab[:, :2] / truth.spec["pixel_size_A"]


def followed(counts, near=None, **changes):
    path, blocks = follow_movie(
        Frames(counts), 0, len(counts), 0.358, near, lambda extent_A: 64, {**SETTINGS, **changes}, 0
    )
    return path, list(answered(Frames(counts), blocks))


def answered(movie, blocks):
    """The blocks of one particle, whose wishes are read from the movie."""
    reply = None
    while True:
        try:
            block = blocks.send(reply)
        except StopIteration:
            return
        if isinstance(block, Wanted):
            reply = movie.window(*block)
        else:
            reply = yield block


def rmse(path, place):
    off = path.place - place
    return np.sqrt(np.square(off - off.mean(0)).sum(1).mean())


@pytest.fixture(scope="module")
def bright():
    return simulated()


def test_a_particle_without_shadow_is_followed(bright):
    """Catches a tracker that needs low-resolution contrast; the bar is the project's 1.2 px."""
    counts, place = bright
    path, _ = followed(counts)
    assert rmse(path, place) < 1.2
    assert np.abs(path.place - place).mean(0).max() < 1.5
    assert 7.0 < path.extent_A < 11.5
    assert not path.shadow and not path.blank.any()


def test_blocks_join_without_a_seam(bright):
    """Catches a path that restarts in each block, rows out of order, and static fields in the wrong block."""
    counts, place = bright
    path, blocks = followed(counts, block_frames=100)
    assert path.block_first == [0, 100]
    assert [begin for begin, *_ in blocks] == [0, 100]
    assert np.array_equal(np.concatenate([block[1] for block in blocks]), counts)
    assert rmse(path, place) < 1.3
    assert np.linalg.norm(np.diff(path.place, axis=0), axis=1).max() < 3
    # a block is read 40 frames past its end, and all of them make its static field
    assert np.allclose(path.mean_field[0], counts[:140].mean(0), atol=1e-3)


def test_a_large_field_is_searched_only_about_the_particle(bright):
    """Catches offsets of the region: the same particle in the corner of a large empty field."""
    counts, place = bright
    rng = np.random.default_rng(8)
    large = rng.poisson(17, (120, 400, 360)).astype(np.uint8)
    large[:, 270:374, 30:142] = counts[:120]
    path, blocks = followed(large)
    assert rmse(path, place[:120]) < 1.6
    assert np.abs((path.place - place[:120]).mean(0) - (30, 270)).max() < 1.5
    for begin, part, (x, y), _ in blocks:
        assert np.array_equal(
            part, large[begin : begin + len(part), y : y + part.shape[1], x : x + part.shape[2]]
        )


def test_jump_and_blank_frames_are_survived():
    """Catches a path that drifts on through blank frames or cannot follow a jump of 14 px."""
    counts, place = simulated(
        motion={"rms_px": 0.4, "jumps": [{"frame": 150, "shift_px": [14, -8]}]},
        blank_frames=[{"first": 60, "last": 66}],
    )
    path, _ = followed(counts)
    assert np.flatnonzero(path.blank).tolist() == list(range(60, 67))
    off = np.linalg.norm(path.place - place, axis=1)
    assert off[:60].max() < 5 and off[67:145].max() < 5 and off[155:].max() < 5


def test_dark_contrast_is_followed_alike():
    """Catches a sign in the evidence: energy does not know polarity."""
    counts, place = simulated(polarity="dark")
    path, _ = followed(counts)
    assert rmse(path, place) < 1.3


def test_an_empty_field_scores_next_to_nothing():
    """Catches a tracker that finds something in nothing: score and control stay below the limit of 1.3 sd."""
    counts, _ = simulated(blank_frames=[{"first": 0, "last": 239, "kind": "noparticle"}])
    path, _ = followed(counts)
    assert np.median(path.score) < 1.3
    assert np.median(path.null_score) < 1.3


def test_frames_that_are_not_numbers_are_refused():
    """Catches NaN that spread through the transforms: one sentence that names the frame."""
    counts = np.random.default_rng(9).poisson(17, (50, 80, 80)).astype(np.float32)
    counts[31, 5, 5] = np.nan
    with pytest.raises(InputError, match="frame 31 "):
        followed(counts)


def test_the_region_follows_a_particle_that_crosses_the_field():
    """Catches a region that stays behind, a path lost between two regions, boxes cut out of reach."""
    counts, place = simulated(
        field_px=[420, 104], motion={"path": [[0, 70, 50], [239, 340, 54]], "rms_px": 0.3, "pull": 0.05}
    )
    path, blocks = followed(counts)
    assert len(blocks) > 1
    assert rmse(path, place) < 1.5
    for begin, part, (x, _), centre_px in blocks:
        assert part.shape[2] < 300
        inside = (centre_px[:, 0] - 32 >= x) & (centre_px[:, 0] + 32 <= x + part.shape[2])
        assert inside.mean() > 0.95
        assert np.array_equal(part, counts[begin : begin + len(part), :, x : x + part.shape[2]])
