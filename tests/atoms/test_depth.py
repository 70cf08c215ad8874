"""The hand: sums against drawn images, and planted depth told from its mirror image and from none."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from perrin.atoms.depth import hand, hand_evidence, hand_shares, slope, sure_slope
from perrin.imaging.blobs import filter_frames, high_passed
from perrin.imaging.profile import Profile, overlap

PIXEL, N, HIGHPASS = 0.358, 64, 0.2
IMAGE = Profile.gaussian(0.45, HIGHPASS)
CHANGE = Profile(np.array([0.42, 0.6]), np.array([-0.02, 0.012]), HIGHPASS)


def draw(places, weight, profile):
    """Sum of a profile at places (n, 2), without the high-pass: (N, N)."""
    axis = (np.arange(N) - N // 2) * PIXEL
    out = np.zeros((N, N))
    for (x, y), w in zip(places, weight, strict=True):
        r2 = (axis[:, None] - y) ** 2 + (axis - x) ** 2
        for s, m in zip(profile.sigma_A, profile.weight, strict=True):
            out += w * m * np.exp(-r2 / (2 * s**2)) / (2 * np.pi * s**2)
    return out


@pytest.fixture(scope="module")
def body():
    rng = np.random.default_rng(2)
    xyz = rng.uniform(-5, 5, (25, 3))
    rotation = Rotation.random(40, rng=rng).as_matrix()
    shift = rng.normal(0, 0.3, (40, 2))
    return xyz, rotation, shift


def movie(body, depth, noise, seed=0):
    xyz, rotation, shift = body
    frames = []
    for R, s in zip(rotation, shift, strict=True):
        turned = xyz @ R.T
        z = turned[:, 2] - turned[:, 2].mean()
        frames.append(
            draw(turned[:, :2] + s, np.ones(len(xyz)), IMAGE) + depth * draw(turned[:, :2] + s, z, CHANGE)
        )
    clean = 3.0 * np.array(frames)
    return (clean + noise * np.random.default_rng(seed).standard_normal(clean.shape)).astype(np.float32)


def evidence(body, images):
    xyz, rotation, shift = body
    ones = np.ones(len(xyz))
    return hand_evidence(
        images, PIXEL, xyz, ones, rotation, shift, np.full(len(rotation), 3.0), IMAGE, CHANGE
    )


def test_sums_are_those_of_drawn_images(body):
    """Would catch a wrong overlap, a pair counted twice, or a mean height that stays in."""
    xyz, rotation, shift = body
    images = movie(body, 0.7, 0.0)
    g, H = evidence(body, images)
    for f in (0, 7):
        turned = xyz @ rotation[f].T
        z = turned[:, 2] - turned[:, 2].mean()
        depth, flat = (
            high_passed(draw(turned[:, :2] + shift[f], w, p)[None], PIXEL, HIGHPASS)[0].astype(float)
            for w, p in ((z, CHANGE), (np.ones(len(z)), IMAGE))
        )
        seen = high_passed(images[f][None], PIXEL, HIGHPASS)[0].astype(float)
        assert H[f] == pytest.approx(9 * np.sum(depth**2), rel=0.02)
        assert g[f] == pytest.approx(3 * np.sum(depth * (seen - 3 * flat)), rel=0.03, abs=0.02 * H[f])


def test_the_planted_hand_is_told(body):
    """Would catch a sign, or a verdict without evidence."""
    right, mirror, flat = (hand(*evidence(body, movie(body, depth, 0.25))) for depth in (1.0, -1.0, 0.0))
    assert right["verdict"] == "this" and right["coefficient"] == pytest.approx(1, abs=4 * right["sigma"])
    assert mirror["verdict"] == "other" and mirror["coefficient"] == pytest.approx(
        -1, abs=4 * mirror["sigma"]
    )
    assert flat["verdict"] == "undetermined"
    assert right["nats"] == pytest.approx(-mirror["nats"], rel=0.3)


def brighter_with_height(body, per_A, noise):
    """Frames of atoms whose image grows by per_A for each angstrom of height."""
    xyz, rotation, shift = body
    frames = []
    for R, s in zip(rotation, shift, strict=True):
        turned = xyz @ R.T
        frames.append(draw(turned[:, :2] + s, 1 + per_A * (turned[:, 2] - turned[:, 2].mean()), IMAGE))
    clean = 3.0 * np.array(frames)
    return (clean + noise * np.random.default_rng(4).standard_normal(clean.shape)).astype(np.float32)


@pytest.mark.parametrize("mirror", [False, True])
def test_slope_is_the_planted_one(body, mirror):
    """Would catch a slope of the wrong size, or one that does not change its sign with the hand."""
    xyz, rotation, shift = body
    filtered = filter_frames(brighter_with_height(body, 0.02, 0.0), PIXEL, IMAGE)
    if mirror:
        xyz, rotation = -xyz, np.diag([-1.0, -1.0, 1.0]) @ rotation
    g, H = slope(filtered, xyz, overlap(IMAGE, IMAGE, PIXEL), rotation, shift, np.full(40, 3.0))
    assert g.sum() / H.sum() == pytest.approx(-0.02 if mirror else 0.02, rel=0.05)


def test_a_slope_is_used_only_where_it_is_sure():
    """Would catch noise taken for depth."""
    rng = np.random.default_rng(5)
    H = np.full(600, 100.0)
    noise = 10 * rng.standard_normal(600)
    assert sure_slope(noise, H) == 0
    assert sure_slope(noise + 0.5 * H, H) == pytest.approx(0.5, rel=0.1)
    assert sure_slope((noise + 0.5 * H)[:30], H[:30]) == 0


def test_frames_in_the_other_hand_are_counted():
    """Would catch a mixture of hands that goes unnoticed, or a movie without depth that is called one."""
    rng = np.random.default_rng(6)
    H = np.full(600, 100.0)
    sign = np.where(np.arange(600) < 180, -1, 1)
    noise = 10 * rng.standard_normal(600)
    assert hand_shares(noise + 0.5 * H, H) == (1, 0)
    assert hand_shares(noise + 0.5 * sign * H, H) == pytest.approx((1, 0.3))
    assert hand_shares(noise - 0.5 * sign * H, H) == pytest.approx((1, 0.3))
    assert hand_shares(noise, H) == (0, 0)
    half = np.arange(600) < 300
    assert hand_shares(noise + 0.5 * half * H, H) == (0.5, 0)
