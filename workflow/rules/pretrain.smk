rule pretrain:
    input:
        pretraining_pairs,
    output:
        "models/pretrain/{pretraining}/weights.safetensors",
        "models/pretrain/{pretraining}/config.json",
        "models/pretrain/{pretraining}/history.parquet",
    log:
        "logs/pretrain/{pretraining}.log",
    benchmark:
        "logs/pretrain/{pretraining}.tsv"
    conda:
        "../../environment.yml"
    threads: 8
    resources:
        gpu=1,
    params:
        settings=pretrain_settings,
        pairs=lambda wildcards, input: str(Path(input[0]).parent),
    message:
        "Pre-training {wildcards.pretraining}"
    shell:
        "python workflow/scripts/pretrain.py --name {wildcards.pretraining}"
        " --pairs {params.pairs}"
        " --output models/pretrain/{wildcards.pretraining}"
        " > {log} 2>&1"


rule evaluate_retrieval:
    input:
        test_pairs,
        "models/pretrain/{pretraining}/weights.safetensors",
        "models/pretrain/{pretraining}/config.json",
    output:
        "results/retrieval/{pretraining}/{corpus}/metrics.json",
        "results/retrieval/{pretraining}/{corpus}/ranks.parquet",
    log:
        "logs/evaluate_retrieval/{pretraining}/{corpus}.log",
    benchmark:
        "logs/evaluate_retrieval/{pretraining}/{corpus}.tsv"
    conda:
        "../../environment.yml"
    threads: 8
    resources:
        gpu=1,
    params:
        pairs=lambda wildcards, input: str(Path(input[0]).parent),
    message:
        "Retrieving the clips of {wildcards.corpus} by {wildcards.pretraining}"
    shell:
        "python workflow/scripts/evaluate_retrieval.py --corpus {wildcards.corpus}"
        " --pairs {params.pairs}"
        " --model models/pretrain/{wildcards.pretraining}"
        " --output results/retrieval/{wildcards.pretraining}/{wildcards.corpus}"
        " > {log} 2>&1"
