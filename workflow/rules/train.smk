rule train:
    input:
        layout.SEQUENCES,
        layout.ITEMS,
        features,
        attributes,
        pretrained,
        sources,
    output:
        layout.WEIGHTS,
        layout.LAST_WEIGHTS,
        layout.CONFIG,
        layout.HISTORY,
    log:
        layout.log("train", layout.EXPERIMENT),
    benchmark:
        layout.cost("train", layout.EXPERIMENT)
    conda:
        "../../environment.yml"
    threads: 8
    resources:
        **limits("train"),
        **ONE_MACHINE,
        gpu=GPUS_OF_A_JOB,
    params:
        settings=train_settings,
    message:
        "Training {wildcards.variant} on {wildcards.domain} (k={wildcards.k_core}, {wildcards.split}, seed {wildcards.seed})"
    shell:
        shared_command(
            "train.py"
            " --domain {wildcards.domain} --k-core {wildcards.k_core} --split {wildcards.split}"
            " --variant {wildcards.variant} --seed {wildcards.seed}"
        )
        + " > {log} 2>&1"
