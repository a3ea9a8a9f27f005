rule evaluate:
    input:
        "data/processed/{domain}/k{k}/sequences.parquet",
        "data/processed/{domain}/k{k}/items.parquet",
        features,
        "models/{domain}/k{k}/{variant}/seed{seed}/weights.safetensors",
        "models/{domain}/k{k}/{variant}/seed{seed}/config.json",
    output:
        "results/{domain}/k{k}/{variant}/seed{seed}/ranks.parquet",
        "results/{domain}/k{k}/{variant}/seed{seed}/metrics.json",
    log:
        "logs/evaluate/{domain}/k{k}/{variant}/seed{seed}.log",
    benchmark:
        "logs/evaluate/{domain}/k{k}/{variant}/seed{seed}.tsv"
    conda:
        "../../environment.yml"
    threads: 8
    resources:
        gpu=1,
    params:
        settings=PARAMS.evaluation.model_dump(),
    message:
        "Ranking by {wildcards.variant} on {wildcards.domain} (k={wildcards.k}, seed {wildcards.seed})"
    shell:
        "python workflow/scripts/evaluate.py"
        " --domain {wildcards.domain} --k-core {wildcards.k} --variant {wildcards.variant} --seed {wildcards.seed}"
        " --data data/processed/{wildcards.domain}/k{wildcards.k}"
        " --features data/features/{wildcards.domain}"
        " --model models/{wildcards.domain}/k{wildcards.k}/{wildcards.variant}/seed{wildcards.seed}"
        " --output results/{wildcards.domain}/k{wildcards.k}/{wildcards.variant}/seed{wildcards.seed}"
        " > {log} 2>&1"
