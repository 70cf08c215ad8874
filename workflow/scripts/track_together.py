"""Bind the files of rule track_together to its function."""

from perrin import stage

stage.run(snakemake, "perrin.frames.track.track_together")
