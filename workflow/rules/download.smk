rule download:
    output:
        file=layout.RAW_FILE,
        facts=layout.RAW_FACTS,
    log:
        layout.log("download", "{file}"),
    benchmark:
        layout.cost("download", "{file}")
    conda:
        "../../environment.yml"
    resources:
        **limits("download"),
    params:
        sha256=lambda wildcards: REGISTRY[wildcards.file].sha256,
    message:
        "Fetching {wildcards.file}"
    shell:
        command("download.py {wildcards.file}" " > {log} 2>&1")
