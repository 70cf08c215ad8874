"""Bind the files of rule report to its function."""

from perrin import stage

stage.run(snakemake, "perrin.report.page.report")
