rule collect_statistics:
    input:
        "data/processed/{domain}/k{k}/statistics.json",
    output:
        "results/collected/{report}/data/processed/{domain}/k{k}/statistics.json",
    log:
        "logs/collect_statistics/{report}/{domain}/k{k}.log",
    benchmark:
        "logs/collect_statistics/{report}/{domain}/k{k}.tsv"
    conda:
        "../../environment.yml"
    message:
        "Collecting the statistics of {wildcards.domain} (k={wildcards.k}) for {wildcards.report}"
    shell:
        "python workflow/scripts/collect.py {input}" " --output results/collected/{wildcards.report}" " > {log} 2>&1"


rule collect_results:
    input:
        "models/{domain}/k{k}/{variant}/seed{seed}/history.parquet",
        "results/{domain}/k{k}/{variant}/seed{seed}/metrics.json",
    output:
        "results/collected/{report}/models/{domain}/k{k}/{variant}/seed{seed}/history.parquet",
        "results/collected/{report}/results/{domain}/k{k}/{variant}/seed{seed}/metrics.json",
    log:
        "logs/collect_results/{report}/{domain}/k{k}/{variant}/seed{seed}.log",
    benchmark:
        "logs/collect_results/{report}/{domain}/k{k}/{variant}/seed{seed}.tsv"
    conda:
        "../../environment.yml"
    message:
        "Collecting {wildcards.variant} on {wildcards.domain} (k={wildcards.k}, seed {wildcards.seed})"
        " for {wildcards.report}"
    shell:
        "python workflow/scripts/collect.py {input}" " --output results/collected/{wildcards.report}" " > {log} 2>&1"


rule collect_retrieval:
    input:
        "results/retrieval/{pretraining}/{corpus}/metrics.json",
    output:
        "results/collected/{report}/results/retrieval/{pretraining}/{corpus}/metrics.json",
    log:
        "logs/collect_retrieval/{report}/{pretraining}/{corpus}.log",
    benchmark:
        "logs/collect_retrieval/{report}/{pretraining}/{corpus}.tsv"
    conda:
        "../../environment.yml"
    message:
        "Collecting the retrieval of {wildcards.corpus} by {wildcards.pretraining} for {wildcards.report}"
    shell:
        "python workflow/scripts/collect.py {input}" " --output results/collected/{wildcards.report}" " > {log} 2>&1"


rule report:
    input:
        collected,
    output:
        directory("results/reports/{report}"),
    log:
        "logs/report/{report}.log",
    benchmark:
        "logs/report/{report}.tsv"
    conda:
        "../../environment.yml"
    params:
        settings=report_settings,
    message:
        "Writing the report {wildcards.report}"
    shell:
        "python workflow/scripts/report.py --report {wildcards.report}"
        " --data results/collected/{wildcards.report}/data/processed"
        " --models results/collected/{wildcards.report}/models"
        " --results results/collected/{wildcards.report}/results"
        " --output {output}"
        " > {log} 2>&1"
