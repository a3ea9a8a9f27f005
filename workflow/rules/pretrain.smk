rule pretrain:
    input:
        pretraining_pairs,
    output:
        layout.PRETRAINED_WEIGHTS,
        layout.PRETRAINED_CONFIG,
        layout.PRETRAINED_HISTORY,
    log:
        layout.log("pretrain", "{pretraining}"),
    benchmark:
        layout.cost("pretrain", "{pretraining}")
    conda:
        "../../environment.yml"
    threads: 8
    resources:
        **limits("pretrain"),
        **ONE_MACHINE,
        gpu=GPUS_OF_A_JOB,
    params:
        settings=pretrain_settings,
    message:
        "Pre-training {wildcards.pretraining}"
    shell:
        shared_command("pretrain.py --pretraining {wildcards.pretraining}") + " > {log} 2>&1"


rule evaluate_retrieval:
    input:
        test_pairs,
        layout.PRETRAINED_WEIGHTS,
        layout.PRETRAINED_CONFIG,
    output:
        layout.RETRIEVAL_METRICS,
        layout.RETRIEVAL_RANKS,
    log:
        layout.log("evaluate_retrieval", "{pretraining}/{corpus}"),
    benchmark:
        layout.cost("evaluate_retrieval", "{pretraining}/{corpus}")
    conda:
        "../../environment.yml"
    threads: 8
    resources:
        **limits("evaluate_retrieval"),
        gpu=GPUS_OF_A_JOB,
    message:
        "Retrieving the clips of {wildcards.corpus} by {wildcards.pretraining}"
    shell:
        command(
            "evaluate_retrieval.py --pretraining {wildcards.pretraining} --corpus {wildcards.corpus}" " > {log} 2>&1"
        )
