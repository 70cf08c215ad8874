"""Bind the files of rule track to its function."""

from perrin import stage

stage.run(snakemake, "perrin.frames.track.track")
