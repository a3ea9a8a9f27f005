rule sample_frames:
    input:
        layout.LEDGER,
    output:
        layout.FRAMES,
    log:
        layout.log("sample_frames", "{collection}"),
    benchmark:
        layout.cost("sample_frames", "{collection}")
    conda:
        "../../environment.yml"
    threads: 8
    resources:
        **limits("sample_frames"),
    params:
        settings=PARAMS.frames.model_dump(),
    message:
        "Sampling the frames of {wildcards.collection}"
    shell:
        command("sample_frames.py --collection {wildcards.collection}" " > {log} 2>&1")


rule extract_table_features:
    input:
        items,
        given_vectors,
    output:
        layout.FEATURES,
    log:
        layout.log("extract_table_features", "{collection}/{encoder}/{modality}"),
    benchmark:
        layout.cost("extract_table_features", "{collection}/{encoder}/{modality}")
    wildcard_constraints:
        encoder=any_of(table_encoders(PARAMS)),
    conda:
        "../../environment.yml"
    resources:
        **limits("extract_table_features"),
    params:
        settings=encoder_settings,
    message:
        "Reading the given {wildcards.modality} vectors of {wildcards.collection} ({wildcards.encoder})"
    shell:
        command(
            "extract_features.py --collection {wildcards.collection}"
            " --encoder {wildcards.encoder} --modality {wildcards.modality}"
            " > {log} 2>&1"
        )


rule extract_text_features:
    input:
        texts,
    output:
        layout.FEATURES.replace("{modality}", "text"),
    log:
        layout.log("extract_text_features", "{collection}/{encoder}"),
    benchmark:
        layout.cost("extract_text_features", "{collection}/{encoder}")
    wildcard_constraints:
        encoder=any_of(computing_encoders(PARAMS)),
    conda:
        "../../environment.yml"
    threads: 8
    resources:
        **limits("extract_text_features"),
        gpu=GPUS_OF_A_JOB,
    params:
        settings=encoder_settings,
    message:
        "Encoding the texts of {wildcards.collection} by {wildcards.encoder}"
    shell:
        command(
            "extract_features.py --collection {wildcards.collection}"
            " --encoder {wildcards.encoder} --modality text"
            " > {log} 2>&1"
        )


rule extract_picture_features:
    input:
        items,
        layout.LEDGER,
    output:
        layout.FEATURES.replace("{modality}", "vision"),
    log:
        layout.log("extract_picture_features", "{collection}/{encoder}"),
    benchmark:
        layout.cost("extract_picture_features", "{collection}/{encoder}")
    wildcard_constraints:
        collection=any_of(picture_collections(PARAMS)),
        encoder=any_of(computing_encoders(PARAMS)),
    conda:
        "../../environment.yml"
    threads: 8
    resources:
        **limits("extract_picture_features"),
        gpu=GPUS_OF_A_JOB,
    params:
        settings=encoder_settings,
    message:
        "Encoding the pictures of {wildcards.collection} by {wildcards.encoder}"
    shell:
        command(
            "extract_features.py --collection {wildcards.collection}"
            " --encoder {wildcards.encoder} --modality vision"
            " > {log} 2>&1"
        )


rule extract_frame_features:
    input:
        items,
        layout.FRAMES,
    output:
        layout.FEATURES.replace("{modality}", "vision"),
    log:
        layout.log("extract_frame_features", "{collection}/{encoder}"),
    benchmark:
        layout.cost("extract_frame_features", "{collection}/{encoder}")
    wildcard_constraints:
        collection=any_of([*trailer_collections(PARAMS), *clip_corpora(PARAMS)]),
        encoder=any_of(computing_encoders(PARAMS)),
    conda:
        "../../environment.yml"
    threads: 8
    resources:
        **limits("extract_frame_features"),
        gpu=GPUS_OF_A_JOB,
    params:
        settings=encoder_settings,
    message:
        "Encoding the frames of {wildcards.collection} by {wildcards.encoder}"
    shell:
        command(
            "extract_features.py --collection {wildcards.collection}"
            " --encoder {wildcards.encoder} --modality vision"
            " > {log} 2>&1"
        )
