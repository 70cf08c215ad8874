"""Bind the files of rule events to its function."""

from perrin import stage

stage.run(snakemake, "perrin.windows.events.events")
