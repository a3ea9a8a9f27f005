rule ingest:
    input:
        unpack(raw_files),
    output:
        "data/ingested/{domain}/interactions.parquet",
        "data/ingested/{domain}/items.parquet",
    log:
        "logs/ingest/{domain}.log",
    benchmark:
        "logs/ingest/{domain}.tsv"
    conda:
        "../../environment.yml"
    params:
        settings=ingest_settings,
    message:
        "Reading the raw files of {wildcards.domain}"
    shell:
        "python workflow/scripts/ingest.py --domain {wildcards.domain}"
        " --interactions {input.interactions}"
        " --items {input.catalogue}"
        " --output data/ingested/{wildcards.domain}"
        " > {log} 2>&1"


rule prepare:
    input:
        "data/ingested/{domain}/interactions.parquet",
        "data/ingested/{domain}/items.parquet",
    output:
        "data/processed/{domain}/k{k}/interactions.parquet",
        "data/processed/{domain}/k{k}/sequences.parquet",
        "data/processed/{domain}/k{k}/items.parquet",
        "data/processed/{domain}/k{k}/statistics.json",
    log:
        "logs/prepare/{domain}/k{k}.log",
    benchmark:
        "logs/prepare/{domain}/k{k}.tsv"
    conda:
        "../../environment.yml"
    params:
        settings=prepare_settings,
    message:
        "Filtering {wildcards.domain} to its {wildcards.k}-core"
    shell:
        "python workflow/scripts/prepare.py --domain {wildcards.domain} --k-core {wildcards.k}"
        " --ingested data/ingested/{wildcards.domain}"
        " --output data/processed/{wildcards.domain}/k{wildcards.k}"
        " > {log} 2>&1"
