rule download:
    output:
        file="data/raw/{raw}",
        facts="data/raw/{raw}.json",
    log:
        "logs/download/{raw}.log",
    benchmark:
        "logs/download/{raw}.tsv"
    conda:
        "../../environment.yml"
    params:
        sha256=lambda wildcards: REGISTRY[wildcards.raw].sha256,
    message:
        "Fetching {wildcards.raw}"
    shell:
        "python workflow/scripts/download.py {wildcards.raw}"
        " --registry workflow/sources.csv"
        " --output {output.file}"
        " > {log} 2>&1"
