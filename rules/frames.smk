# Find the particle, follow it, cut its boxes: the only rule that reads the movie.
rule track:
    input:
        movie,
    output:
        tracks="results/{trajectory}/track/tracks.csv",
        particle="results/{trajectory}/track/particle.mrcs",
        spectrum="results/{trajectory}/track/spectrum.npz",
        field="results/{trajectory}/track/field.png",
        provenance="results/{trajectory}/track/track.provenance.json",
    log:
        "logs/{trajectory}/track.log",
    benchmark:
        "results/{trajectory}/timings/track.tsv"
    conda:
        "../envs/perrin.yaml"
    threads: 2
    resources:
        mem_mb=mb(2500, 0.05),
        runtime=minutes(10, 60),
    params:
        cfg=section("track"),
        code=code("perrin.frames.track", content=True),
    script:
        "../workflow/scripts/track.py"


# Take away what stands still (graphene, liquid, camera) and bring the noise to 1.
rule subtract_graphene:
    input:
        particle="results/{trajectory}/track/particle.mrcs",
        tracks="results/{trajectory}/track/tracks.csv",
        spectrum="results/{trajectory}/track/spectrum.npz",
    output:
        clean="results/{trajectory}/graphene/clean.mrcs",
        sheets="results/{trajectory}/graphene/sheets.csv",
        background_csv="results/{trajectory}/graphene/background.csv",
        provenance="results/{trajectory}/graphene/subtract_graphene.provenance.json",
    log:
        "logs/{trajectory}/subtract_graphene.log",
    benchmark:
        "results/{trajectory}/timings/subtract_graphene.tsv"
    conda:
        "../envs/perrin.yaml"
    threads: 2
    resources:
        mem_mb=mb(1500, 3),
        runtime=minutes(5, 30),
    params:
        cfg=section("subtract_graphene"),
        code=code("perrin.frames.graphene"),
    script:
        "../workflow/scripts/subtract_graphene.py"


# Denoised frames: for eyes, for quality, for the published method.
rule denoise:
    input:
        clean="results/{trajectory}/graphene/clean.mrcs",
    output:
        denoised="results/{trajectory}/denoise/denoised.mrcs",
        components="results/{trajectory}/denoise/components.csv",
        provenance="results/{trajectory}/denoise/denoise.provenance.json",
    log:
        "logs/{trajectory}/denoise.log",
    benchmark:
        "results/{trajectory}/timings/denoise.tsv"
    conda:
        "../envs/perrin.yaml"
    threads: 4
    resources:
        mem_mb=mb(1500, 6),
        runtime=minutes(10, 120),
    params:
        cfg=section("denoise"),
        code=code("perrin.frames.denoise"),
    script:
        "../workflow/scripts/denoise.py"


# Averages of neighbours in time, a verdict on every frame, the particle's diameter.
rule classes2d:
    input:
        override("frame_override"),
        clean="results/{trajectory}/graphene/clean.mrcs",
        denoised="results/{trajectory}/denoise/denoised.mrcs",
        tracks="results/{trajectory}/track/tracks.csv",
        background_csv="results/{trajectory}/graphene/background.csv",
    output:
        classes="results/{trajectory}/classes2d/classes.mrcs",
        frames="results/{trajectory}/classes2d/frames.csv",
        particle_json="results/{trajectory}/classes2d/particle.json",
        animation="results/{trajectory}/classes2d/classes.gif",
        sheet="results/{trajectory}/classes2d/sheet.png",
        provenance="results/{trajectory}/classes2d/classes2d.provenance.json",
    log:
        "logs/{trajectory}/classes2d.log",
    benchmark:
        "results/{trajectory}/timings/classes2d.tsv"
    conda:
        "../envs/perrin.yaml"
    threads: 4
    resources:
        mem_mb=mb(1500, 4),
        runtime=minutes(10, 120),
    params:
        cfg=section("classes2d"),
        code=code("perrin.frames.classes2d"),
    script:
        "../workflow/scripts/classes2d.py"
