# The demo's movie, made by the simulator; its truth is kept beside it and read by the report alone.
rule demo:
    output:
        movie=DEMO,
        truth_frames="results/demo/truth/frames.csv",
        provenance="results/demo/movie/demo.provenance.json",
    log:
        "logs/demo/demo.log",
    benchmark:
        "results/demo/timings/demo.tsv"
    conda:
        "../envs/perrin.yaml"
    threads: 1
    resources:
        mem_mb=1500,
        runtime=20,
    params:
        cfg=config["demo"],
        code=code("perrin.simulate.demo"),
    script:
        "../workflow/scripts/demo.py"
