rule sample_frames:
    input:
        "data/media/{catalogue}/ledger.parquet",
    output:
        "data/frames/{catalogue}.parquet",
    log:
        "logs/sample_frames/{catalogue}.log",
    benchmark:
        "logs/sample_frames/{catalogue}.tsv"
    conda:
        "../../environment.yml"
    threads: 8
    params:
        settings=PARAMS.frames.model_dump(),
    message:
        "Sampling the frames of {wildcards.catalogue}"
    shell:
        "python workflow/scripts/sample_frames.py"
        " --media data/media/{wildcards.catalogue}"
        " --output {output}"
        " > {log} 2>&1"


rule extract_text_features:
    input:
        texts,
    output:
        "data/features/{catalogue}/{encoder}/text.parquet",
    log:
        "logs/extract_text_features/{catalogue}/{encoder}.log",
    benchmark:
        "logs/extract_text_features/{catalogue}/{encoder}.tsv"
    conda:
        "../../environment.yml"
    threads: 8
    resources:
        gpu=1,
    params:
        settings=encoder_settings,
    message:
        "Encoding the texts of {wildcards.catalogue} by {wildcards.encoder}"
    shell:
        "python workflow/scripts/extract_features.py --domain {wildcards.catalogue}"
        " --encoder {wildcards.encoder} --modality text"
        " --items {input}"
        " --output {output}"
        " > {log} 2>&1"


rule extract_picture_features:
    input:
        catalogue=items,
        ledger="data/media/{catalogue}/ledger.parquet",
    output:
        "data/features/{catalogue}/{encoder}/vision.parquet",
    log:
        "logs/extract_picture_features/{catalogue}/{encoder}.log",
    benchmark:
        "logs/extract_picture_features/{catalogue}/{encoder}.tsv"
    wildcard_constraints:
        catalogue=any_of(picture_domains(PARAMS)),
    conda:
        "../../environment.yml"
    threads: 8
    resources:
        gpu=1,
    params:
        settings=encoder_settings,
    message:
        "Encoding the pictures of {wildcards.catalogue} by {wildcards.encoder}"
    shell:
        "python workflow/scripts/extract_features.py --domain {wildcards.catalogue}"
        " --encoder {wildcards.encoder} --modality vision"
        " --items {input.catalogue}"
        " --media data/media/{wildcards.catalogue}"
        " --output {output}"
        " > {log} 2>&1"


rule extract_frame_features:
    input:
        catalogue=items,
        frames="data/frames/{catalogue}.parquet",
    output:
        "data/features/{catalogue}/{encoder}/vision.parquet",
    log:
        "logs/extract_frame_features/{catalogue}/{encoder}.log",
    benchmark:
        "logs/extract_frame_features/{catalogue}/{encoder}.tsv"
    wildcard_constraints:
        catalogue=any_of([*trailer_domains(PARAMS), *clip_corpora(PARAMS)]),
    conda:
        "../../environment.yml"
    threads: 8
    resources:
        gpu=1,
    params:
        settings=encoder_settings,
    message:
        "Encoding the frames of {wildcards.catalogue} by {wildcards.encoder}"
    shell:
        "python workflow/scripts/extract_features.py --domain {wildcards.catalogue}"
        " --encoder {wildcards.encoder} --modality vision"
        " --items {input.catalogue}"
        " --frames {input.frames}"
        " --output {output}"
        " > {log} 2>&1"
