"""Bind the files of rule demo to its function."""

from perrin import stage

stage.run(snakemake, "perrin.simulate.demo.make_demo")
