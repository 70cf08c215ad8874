"""The demo: a Pt nanocrystal that loses atoms once, with truth beside it."""

from pathlib import Path

from perrin.simulate.write import write_movie


def demo_spec(state_frames=750, seed=1, n_lost=20):
    """Specification of the demo movie: 181 atoms of Pt for `state_frames` frames, then `n_lost` fewer."""
    return {
        "name": "demo",
        "seed": seed,
        "element": "Pt",
        "n_frames": 2 * state_frames,
        "field_px": [128, 128],
        "snr": 0.25,
        "particle": {
            "shape": "truncated_octahedron",
            "length": 7,
            "cutoff": 2,
            "strain_pct": 1.5,
            "lose": [
                # the first loss spoils the shape's symmetry, so that its outline tells equivalent poses apart
                {"frame": 0, "n_atoms": 20, "direction": [0.5, 1.0, 0.2], "weight": 3.0},
                # and the event eats a facet of another kind, so that the particle fits into its former self in one way
                {"frame": state_frames, "n_atoms": n_lost, "direction": [0.7, -0.8, -1.0], "weight": 3.0},
            ],
        },
        "rotation": {"rms_deg": 2.5},
        "motion": {"rms_px": 0.5, "pull": 0.002, "limit_px": 14},
        "background": {
            "graphene": [{"angle_deg": 7.0}, {"angle_deg": 24.0}],
            "liquid": {"fine_rms": 0.03, "coarse_rms": 0.02},
        },
    }


def make_demo(movie, truth_frames, state_frames=750, seed=1, n_lost=20):
    """Write the demo movie and, in the folder of truth_frames (.../frames.csv), its truth.

    movie : path of the MRC file, 400 frames/s, 0.358 A/px, 17 e-/px, 128 x 128 px
    truth_frames : path of frames.csv; atoms_state1.csv, atoms_state2.csv, lives.csv, meta.yaml go beside it
    state_frames : frames in each of the two states
    """
    folder = Path(truth_frames).parent
    return write_movie(demo_spec(state_frames, seed, n_lost), movie, folder)
