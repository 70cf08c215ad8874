"""Bind the files of rule segment to its function."""

from perrin import stage

stage.run(snakemake, "perrin.windows.segment.segment")
