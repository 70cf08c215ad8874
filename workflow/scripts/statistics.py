"""Bind the files of rule statistics to its function."""

from perrin import stage

stage.run(snakemake, "perrin.states.statistics.statistics")
