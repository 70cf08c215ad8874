"""Bind the files of rule average3d to its function."""

from perrin import stage

stage.run(snakemake, "perrin.rounds.average3d.average3d")
