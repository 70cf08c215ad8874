"""Bind the files of rule classes2d to its function."""

from perrin import stage

stage.run(snakemake, "perrin.frames.classes2d.classes2d")
