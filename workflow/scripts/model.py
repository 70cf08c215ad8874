"""Bind the files of rule model to its function."""

from perrin import stage

stage.run(snakemake, "perrin.rounds.model.model")
