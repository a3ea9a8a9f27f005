rule train:
    input:
        "data/processed/{domain}/k{k}/sequences.parquet",
        "data/processed/{domain}/k{k}/items.parquet",
        features,
        pretrained,
    output:
        "models/{domain}/k{k}/{variant}/seed{seed}/weights.safetensors",
        "models/{domain}/k{k}/{variant}/seed{seed}/last.safetensors",
        "models/{domain}/k{k}/{variant}/seed{seed}/config.json",
        "models/{domain}/k{k}/{variant}/seed{seed}/history.parquet",
    log:
        "logs/train/{domain}/k{k}/{variant}/seed{seed}.log",
    benchmark:
        "logs/train/{domain}/k{k}/{variant}/seed{seed}.tsv"
    conda:
        "../../environment.yml"
    threads: 8
    resources:
        gpu=1,
    params:
        settings=train_settings,
    message:
        "Training {wildcards.variant} on {wildcards.domain} (k={wildcards.k}, seed {wildcards.seed})"
    shell:
        "python workflow/scripts/train.py"
        " --domain {wildcards.domain} --k-core {wildcards.k} --variant {wildcards.variant} --seed {wildcards.seed}"
        " --data data/processed/{wildcards.domain}/k{wildcards.k}"
        " --features data/features/{wildcards.domain}"
        " --pretrained models/pretrain"
        " --output models/{wildcards.domain}/k{wildcards.k}/{wildcards.variant}/seed{wildcards.seed}"
        " > {log} 2>&1"
