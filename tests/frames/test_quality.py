import numpy as np
import pytest

from perrin.frames import quality

PIXEL_A = 0.358


def neutral(count=300, seed=0):
    rng = np.random.default_rng(seed)
    spread = {"noise": 0.02, "low_energy": 0.06, "band_energy": 0.5, "outside_energy": 0.05}
    return {name: np.exp(s * rng.standard_normal(count)) for name, s in spread.items()}


def judge(measured, correlation=None, **options):
    count = len(measured["noise"])
    still = np.zeros(count)
    return quality.judge(measured, correlation, still, np.full(count, "ok"), **options)


def test_white_noise_gives_one():
    """Catches wrong normalisations: every energy of unit white noise is 1."""
    noise = np.random.default_rng(0).standard_normal((200, 96, 96)).astype(np.float32)
    found = quality.features(noise, PIXEL_A, 9.0)
    for name in ("noise", "low_energy", "band_energy"):
        assert found[name].mean() == pytest.approx(1, abs=0.02), name
    assert found["band_energy"].std() == pytest.approx(found["band_sigma"][0], rel=0.2)
    assert 1.0 < found["outside_energy"].mean() < 1.5


def test_lattice_at_and_beside_the_particle_are_told_apart():
    """Catches regions exchanged: energy at the centre is not energy outside, and the other way round."""
    rng = np.random.default_rng(1)
    y, x = np.indices((96, 96)) - 48
    fringes = 3 * np.cos(2 * np.pi * x * PIXEL_A / 2.26)
    noise = rng.standard_normal((3, 96, 96))
    noise[1] += fringes * (np.hypot(x, y) < 18)
    noise[2] += fringes * (np.hypot(x - 36, y + 30) < 12)
    found = quality.features(noise.astype(np.float32), PIXEL_A, 9.0)
    assert found["band_energy"][1] > 2 * found["band_energy"][0]
    assert found["outside_energy"][1] < 1.6 * found["outside_energy"][0]
    assert found["outside_energy"][2] > 2 * found["outside_energy"][0]
    assert found["band_energy"][2] < 1.1 * found["band_energy"][0]


def test_an_end_of_the_particle_is_not_another_one():
    """Catches a reach that is left out, and one that hides who is beside the particle."""
    rng = np.random.default_rng(1)
    y, x = np.indices((96, 96)) - 48
    fringes = 3 * np.cos(2 * np.pi * x * PIXEL_A / 2.26)
    noise = rng.standard_normal((3, 96, 96))
    noise[1] += fringes * (np.hypot(x - 28, y) < 6)
    noise[2] += fringes * (np.hypot(x - 36, y + 30) < 12)
    round_one = quality.features(noise.astype(np.float32), PIXEL_A, 9.0)["outside_energy"]
    long_one = quality.features(noise.astype(np.float32), PIXEL_A, 9.0, 13.0)["outside_energy"]
    assert round_one[1] > 1.5 * round_one[0] and long_one[1] < 1.2 * long_one[0]
    assert long_one[2] > 2 * long_one[0]


@pytest.mark.parametrize(
    ("name", "factor", "why"),
    [
        ("noise", 0.0, "blank"),
        ("noise", 1.4, "too many"),
        ("noise", 0.7, "too few"),
        ("low_energy", 2.0, "background"),
        ("outside_energy", 1.6, "outside"),
    ],
)
def test_planted_faults_are_rejected_with_their_reason(name, factor, why):
    """Catches a rule that does not fire, or fires under another name."""
    measured = neutral()
    measured[name][[40, 120, 121]] *= factor
    accepted, reason = judge(measured)
    assert not accepted[[40, 120, 121]].any()
    assert all(why in reason[i] for i in (40, 120, 121))
    assert (~accepted).sum() <= 3 + 0.02 * len(accepted)


@pytest.mark.parametrize("seed", range(5))
def test_good_frames_pass(seed):
    """Catches thresholds that cut into good data: at most 2 % of ordinary frames go."""
    measured = neutral(1000, seed)
    slow = 0.34 + 0.25 * np.sin(np.arange(1000) / 9)
    correlation = slow + 0.03 * np.random.default_rng(seed).standard_normal(1000)
    accepted, _ = judge(measured, correlation, chance=0.15)
    assert accepted.mean() >= 0.98


def test_a_passing_particle_is_seen_together():
    """Catches each frame judged alone: ten frames of weak energy outside are rejected, single ones are not."""
    measured = neutral()
    measured["outside_energy"] = np.exp(0.05 * np.random.default_rng(7).standard_normal(300))
    measured["outside_energy"][100:110] *= 1.16
    accepted, _ = judge(measured)
    assert (~accepted[100:110]).sum() >= 7
    assert accepted[np.r_[0:90, 120:300]].mean() > 0.98


def test_frames_out_of_focus_disagree_with_the_resting_background():
    """Catches an unused measure, and its use where the background is too weak to tell."""
    measured = neutral()
    share = 1 + 0.1 * np.random.default_rng(2).standard_normal(300)
    share[50] = -0.2
    strong = {**measured, "static_share": share, "static_sigma": np.full(300, 0.1)}
    assert judge(strong)[1][50] == "out of focus"
    weak = {**measured, "static_share": share, "static_sigma": np.full(300, 0.5)}
    assert judge(weak)[1][50] == ""


def test_a_frame_unlike_both_sides_goes_and_slopes_stay():
    """Catches rejection of particles that turn off an axis: only a gap between good frames is a fault."""
    measured = neutral()
    correlation = np.full(300, 0.5)
    correlation[100] = 0.05
    correlation[200:220] = np.r_[np.linspace(0.5, 0.05, 10), np.linspace(0.05, 0.5, 10)]
    accepted, reason = judge(measured, correlation, chance=0.15)
    assert reason[100] == "unlike its class"
    assert (reason[200:220] != "unlike its class").all()


def test_a_frame_without_the_particle_is_known_by_its_energy():
    """Catches a vanished particle that passes, and the rejection of weak frames among weak ones."""
    measured = neutral()
    measured["band_sigma"] = np.full(300, 0.05)
    measured["band_energy"] = np.full(300, 1.6)
    measured["band_energy"][[70, 71]] = 1.02
    measured["band_energy"][150:] = 1.1
    reason = judge(measured)[1]
    assert (reason[[70, 71]] == "no particle").all()
    assert (reason[155:] != "no particle").all()


def test_both_sides_by_brute_force():
    """Catches an off-by-one in the neighbours, and borders."""
    v = np.random.default_rng(3).uniform(0, 1, 30)
    found = quality.both_sides(v, 3)
    for i in range(30):
        sides = [np.median(part) for part in (v[max(i - 3, 0) : i], v[i + 1 : i + 4]) if len(part)]
        assert found[i] == pytest.approx(min(sides))


def test_tracks_speak_too():
    """Catches verdicts of the tracker and jumps that are not heard."""
    x = np.full(100, 50.0)
    x[30] += 20
    jump = quality.jumps(x, np.full(100, 40.0))
    verdict = np.full(100, "ok", dtype=object)
    verdict[60:63] = "lost"
    accepted, reason = quality.judge(neutral(100), None, jump, verdict.astype(str), jump_limit_px=10)
    assert reason[30] == "jump"
    assert (reason[60:63] == "track: lost").all()
    assert accepted[[10, 90]].all()
