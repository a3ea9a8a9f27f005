rule extract_features:
    input:
        lowest_items,
    output:
        "data/features/{domain}/{encoder}/{modality}.parquet",
    log:
        "logs/extract_features/{domain}/{encoder}/{modality}.log",
    benchmark:
        "logs/extract_features/{domain}/{encoder}/{modality}.tsv"
    conda:
        "../../environment.yml"
    threads: 8
    resources:
        gpu=1,
    params:
        settings=lambda wildcards: PARAMS.encoders[wildcards.encoder].model_dump(),
    message:
        "Encoding the {wildcards.modality} of {wildcards.domain} by {wildcards.encoder}"
    shell:
        "python workflow/scripts/extract_features.py --domain {wildcards.domain}"
        " --encoder {wildcards.encoder} --modality {wildcards.modality}"
        " --items {input}"
        " --output {output}"
        " > {log} 2>&1"
