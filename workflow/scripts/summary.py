"""Bind the files of rule summary to its function."""

from perrin import stage

stage.run(snakemake, "perrin.states.summary.summary")
