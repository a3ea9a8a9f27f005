rule sample_frames:
    input:
        "data/media/{domain}/ledger.parquet",
    output:
        "data/frames/{domain}.parquet",
    log:
        "logs/sample_frames/{domain}.log",
    benchmark:
        "logs/sample_frames/{domain}.tsv"
    conda:
        "../../environment.yml"
    threads: 8
    params:
        settings=PARAMS.frames.model_dump(),
    message:
        "Sampling the frames of {wildcards.domain}"
    shell:
        "python workflow/scripts/sample_frames.py"
        " --media data/media/{wildcards.domain}"
        " --output {output}"
        " > {log} 2>&1"


rule extract_text_features:
    input:
        lowest_items,
    output:
        "data/features/{domain}/{encoder}/text.parquet",
    log:
        "logs/extract_text_features/{domain}/{encoder}.log",
    benchmark:
        "logs/extract_text_features/{domain}/{encoder}.tsv"
    conda:
        "../../environment.yml"
    threads: 8
    resources:
        gpu=1,
    params:
        settings=encoder_settings,
    message:
        "Encoding the texts of {wildcards.domain} by {wildcards.encoder}"
    shell:
        "python workflow/scripts/extract_features.py --domain {wildcards.domain}"
        " --encoder {wildcards.encoder} --modality text"
        " --items {input}"
        " --output {output}"
        " > {log} 2>&1"


rule extract_picture_features:
    input:
        catalogue=lowest_items,
        ledger="data/media/{domain}/ledger.parquet",
    output:
        "data/features/{domain}/{encoder}/vision.parquet",
    log:
        "logs/extract_picture_features/{domain}/{encoder}.log",
    benchmark:
        "logs/extract_picture_features/{domain}/{encoder}.tsv"
    wildcard_constraints:
        domain=any_of(picture_domains(PARAMS)),
    conda:
        "../../environment.yml"
    threads: 8
    resources:
        gpu=1,
    params:
        settings=encoder_settings,
    message:
        "Encoding the pictures of {wildcards.domain} by {wildcards.encoder}"
    shell:
        "python workflow/scripts/extract_features.py --domain {wildcards.domain}"
        " --encoder {wildcards.encoder} --modality vision"
        " --items {input.catalogue}"
        " --media data/media/{wildcards.domain}"
        " --output {output}"
        " > {log} 2>&1"


rule extract_frame_features:
    input:
        catalogue=lowest_items,
        frames="data/frames/{domain}.parquet",
    output:
        "data/features/{domain}/{encoder}/vision.parquet",
    log:
        "logs/extract_frame_features/{domain}/{encoder}.log",
    benchmark:
        "logs/extract_frame_features/{domain}/{encoder}.tsv"
    wildcard_constraints:
        domain=any_of(trailer_domains(PARAMS)),
    conda:
        "../../environment.yml"
    threads: 8
    resources:
        gpu=1,
    params:
        settings=encoder_settings,
    message:
        "Encoding the frames of {wildcards.domain} by {wildcards.encoder}"
    shell:
        "python workflow/scripts/extract_features.py --domain {wildcards.domain}"
        " --encoder {wildcards.encoder} --modality vision"
        " --items {input.catalogue}"
        " --frames {input.frames}"
        " --output {output}"
        " > {log} 2>&1"
