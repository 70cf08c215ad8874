"""Bind the files of rule denoise to its function."""

from perrin import stage

stage.run(snakemake, "perrin.frames.denoise.denoise")
