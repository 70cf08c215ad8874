# perrin: from a movie of one tumbling metal nanocrystal to its atoms as they change in time.
# Config and sample sheet in (rules/common.smk reads and checks both), the report out.
from snakemake.utils import min_version

min_version("9.12")


include: "rules/common.smk"
include: "rules/demo.smk"
include: "rules/frames.smk"
include: "rules/volumes.smk"
include: "rules/atoms.smk"
include: "rules/states.smk"
include: "rules/report.smk"


rule all:
    default_target: True
    input:
        "results/report/index.html",
    localrule: True


onsuccess:
    say_where("results/report/index.html")


onerror:
    report_the_rest()
