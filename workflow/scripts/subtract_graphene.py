"""Bind the files of rule subtract_graphene to its function."""

from perrin import stage

stage.run(snakemake, "perrin.frames.graphene.subtract_graphene")
