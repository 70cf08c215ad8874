# Coordination, strain, order and depth of one window's atoms, with intervals; what the map says of each atom.
rule statistics:
    input:
        atoms="results/{trajectory}/windows/{window}/atoms.csv",
        model_json="results/{trajectory}/windows/{window}/model.json",
        window_map="results/{trajectory}/windows/{window}/map.mrc",
        half1="results/{trajectory}/windows/{window}/half1.mrc",
        half2="results/{trajectory}/windows/{window}/half2.mrc",
    output:
        atoms_stats="results/{trajectory}/windows/{window}/atoms_stats.csv",
        state="results/{trajectory}/windows/{window}/state.csv",
        depth="results/{trajectory}/windows/{window}/depth.csv",
        strain_pdb="results/{trajectory}/windows/{window}/strain.pdb",
        provenance="results/{trajectory}/windows/{window}/statistics.provenance.json",
    log:
        "logs/{trajectory}/windows/{window}/statistics.log",
    benchmark:
        "results/{trajectory}/timings/statistics_{window}.tsv"
    conda:
        "../envs/perrin.yaml"
    threads: 1
    resources:
        mem_mb=memory("statistics"),
        runtime=runtime("statistics"),
    params:
        cfg=section("statistics"),
        code=code("perrin.states.statistics"),
    script:
        "../workflow/scripts/statistics.py"


# What changed from window to window of a trajectory.
rule dynamics:
    input:
        windows="results/{trajectory}/segment/windows.tsv",
        atoms=in_windows("atoms.csv"),
        states=in_windows("state.csv"),
        model_jsons=in_windows("model.json"),
    output:
        states_csv="results/{trajectory}/dynamics/states.csv",
        changes="results/{trajectory}/dynamics/changes.csv",
        lives="results/{trajectory}/dynamics/lives.csv",
        core="results/{trajectory}/dynamics/core.csv",
        rates="results/{trajectory}/dynamics/rates.csv",
        category="results/{trajectory}/dynamics/category.json",
        trajectory_xyz="results/{trajectory}/dynamics/trajectory.extxyz",
        provenance="results/{trajectory}/dynamics/dynamics.provenance.json",
    log:
        "logs/{trajectory}/dynamics.log",
    benchmark:
        "results/{trajectory}/timings/dynamics.tsv"
    conda:
        "../envs/perrin.yaml"
    threads: 1
    resources:
        mem_mb=memory("dynamics"),
        runtime=runtime("dynamics"),
    params:
        cfg=section("dynamics"),
        code=code("perrin.states.dynamics"),
    script:
        "../workflow/scripts/dynamics.py"


# All trajectories side by side.
rule summary:
    input:
        states=expand("results/{trajectory}/dynamics/states.csv", trajectory=TRAJECTORIES),
        categories=expand("results/{trajectory}/dynamics/category.json", trajectory=TRAJECTORIES),
    output:
        states_table="results/summary/states.csv",
        trajectories_table="results/summary/trajectories.csv",
        figure_png="results/summary/summary.png",
        figure_svg="results/summary/summary.svg",
        provenance="results/summary/summary.provenance.json",
    log:
        "logs/summary.log",
    benchmark:
        "results/timings/summary.tsv"
    localrule: True
    conda:
        "../envs/perrin.yaml"
    threads: 1
    resources:
        mem_mb=mb(1000, 5),
        runtime=minutes(5, 60),
    params:
        cfg=config["summary"],
        code=code("perrin.states.summary"),
    script:
        "../workflow/scripts/summary.py"


# On demand (snakemake prune): remove the results of windows that are no longer listed.
rule prune:
    input:
        expand("results/{trajectory}/segment/windows.tsv", trajectory=TRAJECTORIES),
    log:
        "logs/prune.log",
    localrule: True
    conda:
        "../envs/perrin.yaml"
    params:
        cfg={},
        code={},
    script:
        "../workflow/scripts/prune.py"


# On demand (snakemake clean_intermediates): remove the boxes of trajectories that are finished. Nothing runs again
# because of it; what needs them later makes them anew, and with them all that follows.
rule clean_intermediates:
    log:
        "logs/clean_intermediates.log",
    localrule: True
    conda:
        "../envs/perrin.yaml"
    params:
        cfg=dict(results="results", names=TRAJECTORIES),
        code={},
    script:
        "../workflow/scripts/clean_intermediates.py"
