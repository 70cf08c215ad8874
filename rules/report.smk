# The report: an index, a page a trajectory, figures as files; none needs a network. What it reads lies below results
# at places that it knows; they are inputs
# so that it is made again when one of them changes. The summary is among them so that trajectories run side by side.
rule report:
    input:
        expand("results/{trajectory}/{file}", trajectory=TRAJECTORIES, file=OF_TRAJECTORY),
        files_of_windows,
        expand("{truth}/frames.csv", truth=truth_of_demo().values()),
        states_table="results/summary/states.csv",
        trajectories_table="results/summary/trajectories.csv",
    output:
        index="results/report/index.html",
        # a folder: of every output Snakemake notes a checksum of every input
        pages=directory("results/report/trajectories"),
        figures=directory("results/report/figures"),
        provenance="results/report/report.provenance.json",
    log:
        "logs/report.log",
    benchmark:
        "results/timings/report.tsv"
    localrule: True
    conda:
        "../envs/perrin.yaml"
    threads: 8  # one a trajectory at a time
    resources:
        mem_mb=mb(2000, 2),
        runtime=minutes(10, 60),
    params:
        cfg=dict(config["report"], results="results", rows=list(ROWS.values()), truth=truth_of_demo()),
        code=code("perrin.report.page", shown="workflow/report"),
    script:
        "../workflow/scripts/report.py"
