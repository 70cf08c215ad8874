# Find the particle, follow it, cut its boxes. Nothing but this rule and the next reads the movie.
rule track:
    input:
        movie,
        facts_of_shared,
        # ancient: a further particle of the movie, or one that is mended, does not concern this one
        ancient(followed_together),
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
        mem_mb=memory("track"),
        runtime=runtime("track"),
    params:
        cfg=section("track"),
        code=code("perrin.frames.track", content=True),
    script:
        "../workflow/scripts/track.py"


# What is asked for one of several particles of a movie. By this file alone does Snakemake learn whose track is out
# of date: the reading below is made anew for all of them whenever it is for one.
rule track_facts:
    input:
        movie,
    output:
        facts="results/{trajectory}/track_facts.json",
        provenance="results/{trajectory}/track_facts.provenance.json",
    log:
        "logs/{trajectory}/track_facts.log",
    benchmark:
        "results/{trajectory}/timings/track_facts.tsv"
    conda:
        "../envs/perrin.yaml"
    resources:
        mem_mb=memory("track_facts"),
        runtime=runtime("track_facts"),
    params:
        cfg=section("track_facts", "track"),
        code=code("perrin.frames.track", content=True),
    script:
        "../workflow/scripts/track_facts.py"


# The particles of one movie in one reading of it, under the name of the first of them: track then takes each one's
# files from here, or says why it could not be followed, and that costs the others nothing.
rule track_together:
    input:
        movie,
        facts=facts_of_rows,
    output:
        together=directory("results/{trajectory}/together"),
        provenance="results/{trajectory}/track_together.provenance.json",
    log:
        "logs/{trajectory}/track_together.log",
    benchmark:
        "results/{trajectory}/timings/track_together.tsv"
    conda:
        "../envs/perrin.yaml"
    threads: 2
    resources:
        mem_mb=memory("track_together"),
        runtime=runtime("track_together"),
    params:
        cfg=movie_alone,
        code=code("perrin.frames.track", content=True),
    script:
        "../workflow/scripts/track_together.py"


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
        mem_mb=memory("subtract_graphene"),
        runtime=runtime("subtract_graphene"),
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
        mem_mb=memory("denoise"),
        runtime=runtime("denoise"),
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
        mem_mb=memory("classes2d"),
        runtime=runtime("classes2d"),
    params:
        cfg=section("classes2d"),
        code=code("perrin.frames.classes2d"),
    script:
        "../workflow/scripts/classes2d.py"
