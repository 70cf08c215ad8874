# Atoms of one window, refined against its frames, with their errors.
rule model:
    input:
        clean="results/{trajectory}/graphene/clean.mrcs",
        frames="results/{trajectory}/classes2d/frames.csv",
        tracks="results/{trajectory}/track/tracks.csv",
        window_poses="results/{trajectory}/windows/{window}/poses.csv",
        draft="results/{trajectory}/windows/{window}/draft.csv",
        profile="results/{trajectory}/windows/{window}/profile.json",
        coverage="results/{trajectory}/windows/{window}/coverage.json",
        window_map="results/{trajectory}/windows/{window}/map.mrc",
    output:
        atoms="results/{trajectory}/windows/{window}/atoms.csv",
        cif="results/{trajectory}/windows/{window}/atoms.cif",
        pdb="results/{trajectory}/windows/{window}/atoms.pdb",
        xyz="results/{trajectory}/windows/{window}/atoms.xyz",
        density="results/{trajectory}/windows/{window}/density.mrc",
        profile_csv="results/{trajectory}/windows/{window}/profile.csv",
        model_json="results/{trajectory}/windows/{window}/model.json",
        provenance="results/{trajectory}/windows/{window}/model.provenance.json",
    log:
        "logs/{trajectory}/windows/{window}/model.log",
    benchmark:
        "results/{trajectory}/timings/model_{window}.tsv"
    conda:
        "../envs/perrin.yaml"
    threads: 2
    resources:
        mem_mb=memory("model"),
        runtime=runtime("model"),
    params:
        cfg=section("model"),
        code=code("perrin.rounds.model"),
    script:
        "../workflow/scripts/model.py"


# When each atom left, arrived or moved, to the frame.
rule events:
    input:
        clean="results/{trajectory}/graphene/clean.mrcs",
        frames="results/{trajectory}/classes2d/frames.csv",
        tracks="results/{trajectory}/track/tracks.csv",
        windows="results/{trajectory}/segment/windows.tsv",
        window_poses=in_windows("poses.csv"),
        window_atoms=in_windows("atoms.csv"),
        profiles=in_windows("profile.json"),
        model_jsons=in_windows("model.json"),
    output:
        events_csv="results/{trajectory}/events/events.csv",
        evidence="results/{trajectory}/events/evidence.npz",
        figure="results/{trajectory}/events/events.svg",
        provenance="results/{trajectory}/events/events.provenance.json",
    log:
        "logs/{trajectory}/events.log",
    benchmark:
        "results/{trajectory}/timings/events.tsv"
    conda:
        "../envs/perrin.yaml"
    threads: 2
    resources:
        mem_mb=memory("events"),
        runtime=runtime("events"),
    params:
        cfg=section("events"),
        code=code("perrin.windows.events"),
    script:
        "../workflow/scripts/events.py"
