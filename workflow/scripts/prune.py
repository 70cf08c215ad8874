"""Bind the files of rule prune to its function."""

from perrin import prune, stage

with stage.logged(snakemake.log[0]):
    prune.prune(list(snakemake.input))
