"""Bind the files of rule window3d to its function."""

from perrin import stage

stage.run(snakemake, "perrin.rounds.window3d.window3d")
