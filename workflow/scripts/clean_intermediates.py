"""Bind the folders of rule clean_intermediates to its function."""

from perrin import prune, stage

with stage.logged(snakemake.log[0]):
    prune.clean(**snakemake.params.cfg)
