# The report: one page that opens without a network.
rule report:
    input:
        summary="results/summary/trajectories.csv",
    output:
        index="results/report/index.html",
        provenance="results/report/report.provenance.json",
    log:
        "logs/report.log",
    benchmark:
        "results/timings/report.tsv"
    localrule: True
    conda:
        "../envs/perrin.yaml"
    threads: 1
    resources:
        mem_mb=mb(2000, 2),
        runtime=minutes(10, 60),
    params:
        cfg=config["report"],
        code=code("perrin.report.page"),
    script:
        "../workflow/scripts/report.py"
