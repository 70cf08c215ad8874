"""python -m perrin.simulate SPEC.yaml OUTDIR: a movie with known truth, and a sample sheet for it."""

import argparse
import logging
from pathlib import Path

import yaml

from perrin.simulate.write import write_movie, write_sheet


def main():
    parser = argparse.ArgumentParser(prog="python -m perrin.simulate", description=__doc__)
    parser.add_argument("spec", help="YAML file; keys as in perrin.simulate.movie")
    parser.add_argument("outdir")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    with open(arguments.spec) as file:
        spec = yaml.safe_load(file)
    out = Path(arguments.outdir)
    truth = write_movie(spec, out / "movie.mrc", out / "truth")
    write_sheet(truth.spec, out / "metadata.tsv")


if __name__ == "__main__":
    main()
