"""Bind the files of rule dynamics to its function."""

from perrin import stage

stage.run(snakemake, "perrin.states.dynamics.dynamics")
