# Poses of all frames and one map of the whole trajectory.
rule average3d:
    input:
        start_model,
        clean="results/{trajectory}/graphene/clean.mrcs",
        denoised="results/{trajectory}/denoise/denoised.mrcs",
        frames="results/{trajectory}/classes2d/frames.csv",
        tracks="results/{trajectory}/track/tracks.csv",
        particle_json="results/{trajectory}/classes2d/particle.json",
    output:
        poses="results/{trajectory}/average3d/poses.star",
        poses_csv="results/{trajectory}/average3d/poses.csv",
        map="results/{trajectory}/average3d/map.mrc",
        half1="results/{trajectory}/average3d/half1.mrc",
        half2="results/{trajectory}/average3d/half2.mrc",
        correlation="results/{trajectory}/average3d/correlation.csv",
        coverage="results/{trajectory}/average3d/coverage.json",
        sites="results/{trajectory}/average3d/sites.csv",
        lattice="results/{trajectory}/average3d/lattice.json",
        provenance="results/{trajectory}/average3d/average3d.provenance.json",
    log:
        "logs/{trajectory}/average3d.log",
    benchmark:
        "results/{trajectory}/timings/average3d.tsv"
    conda:
        "../envs/perrin.yaml"
    threads: 4
    resources:
        mem_mb=memory("average3d"),
        runtime=runtime("average3d"),
    params:
        cfg=section("average3d"),
        code=code("perrin.rounds.average3d"),
    script:
        "../workflow/scripts/average3d.py"


# Where the structure changed: the windows of time, one row each. The rest of the workflow depends on it.
checkpoint segment:
    input:
        override("segments_override"),
        clean="results/{trajectory}/graphene/clean.mrcs",
        frames="results/{trajectory}/classes2d/frames.csv",
        tracks="results/{trajectory}/track/tracks.csv",
        poses_csv="results/{trajectory}/average3d/poses.csv",
        sites="results/{trajectory}/average3d/sites.csv",
        lattice="results/{trajectory}/average3d/lattice.json",
        correlation="results/{trajectory}/average3d/correlation.csv",
    output:
        windows="results/{trajectory}/segment/windows.tsv",
        evidence="results/{trajectory}/segment/evidence.csv",
        tree="results/{trajectory}/segment/tree.json",
        provenance="results/{trajectory}/segment/segment.provenance.json",
    log:
        "logs/{trajectory}/segment.log",
    benchmark:
        "results/{trajectory}/timings/segment.tsv"
    conda:
        "../envs/perrin.yaml"
    threads: 2
    resources:
        mem_mb=memory("segment"),
        runtime=runtime("segment"),
    params:
        cfg=section("segment"),
        code=code("perrin.windows.segment"),
    script:
        "../workflow/scripts/segment.py"


# One window: rounds of poses, map and atoms. A window is named by its frames, so a moved boundary
# makes the two windows beside it anew and no other.
rule window3d:
    input:
        clean="results/{trajectory}/graphene/clean.mrcs",
        denoised="results/{trajectory}/denoise/denoised.mrcs",
        frames="results/{trajectory}/classes2d/frames.csv",
        tracks="results/{trajectory}/track/tracks.csv",
        average_poses="results/{trajectory}/average3d/poses.csv",
        sites="results/{trajectory}/average3d/sites.csv",
        lattice="results/{trajectory}/average3d/lattice.json",
    output:
        poses="results/{trajectory}/windows/{window}/poses.star",
        poses_csv="results/{trajectory}/windows/{window}/poses.csv",
        map="results/{trajectory}/windows/{window}/map.mrc",
        half1="results/{trajectory}/windows/{window}/half1.mrc",
        half2="results/{trajectory}/windows/{window}/half2.mrc",
        fsc="results/{trajectory}/windows/{window}/fsc.csv",
        rounds="results/{trajectory}/windows/{window}/rounds.csv",
        coverage="results/{trajectory}/windows/{window}/coverage.json",
        draft="results/{trajectory}/windows/{window}/draft.csv",
        profile="results/{trajectory}/windows/{window}/profile.json",
        provenance="results/{trajectory}/windows/{window}/window3d.provenance.json",
    log:
        "logs/{trajectory}/windows/{window}/window3d.log",
    benchmark:
        "results/{trajectory}/timings/window3d_{window}.tsv"
    conda:
        "../envs/perrin.yaml"
    threads: 2
    resources:
        mem_mb=memory("window3d"),
        runtime=runtime("window3d"),
    params:
        cfg=section("window3d"),
        code=code("perrin.rounds.window3d"),
    script:
        "../workflow/scripts/window3d.py"
