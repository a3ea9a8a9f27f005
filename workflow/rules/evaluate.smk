rule evaluate:
    input:
        layout.SEQUENCES,
        layout.ITEMS,
        features,
        attributes,
        layout.WEIGHTS,
        layout.CONFIG,
    output:
        layout.RANKS,
        layout.METRICS,
    log:
        layout.log("evaluate", layout.EXPERIMENT),
    benchmark:
        layout.cost("evaluate", layout.EXPERIMENT)
    wildcard_constraints:
        variant=any_of(recommending(PARAMS)),
    conda:
        "../../environment.yml"
    threads: 8
    resources:
        **limits("evaluate"),
        gpu=GPUS_OF_A_JOB,
    params:
        settings=PARAMS.evaluation.model_dump(),
    message:
        "Ranking by {wildcards.variant} on {wildcards.domain} (k={wildcards.k_core}, {wildcards.split}, seed {wildcards.seed})"
    shell:
        command(
            "evaluate.py"
            " --domain {wildcards.domain} --k-core {wildcards.k_core} --split {wildcards.split}"
            " --variant {wildcards.variant} --seed {wildcards.seed}"
            " > {log} 2>&1"
        )
