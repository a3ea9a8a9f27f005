# The shards lie next to their list, and the pairs next to their index. They are not outputs, so Snakemake keeps them
# and a killed run continues.


rule download_corpus:
    output:
        layout.SHARD_LIST,
    log:
        layout.log("download_corpus", "{corpus}"),
    benchmark:
        layout.cost("download_corpus", "{corpus}")
    wildcard_constraints:
        corpus=any_of(shard_corpora(PARAMS)),
    conda:
        "../../environment.yml"
    resources:
        **limits("download_corpus"),
    params:
        settings=shards_settings,
    message:
        "Fetching the shards of {wildcards.corpus}"
    shell:
        command("download_corpus.py --corpus {wildcards.corpus}" " > {log} 2>&1")


rule encode_pairs:
    input:
        layout.SHARD_LIST,
    output:
        layout.PAIR_INDEX,
    log:
        layout.log("encode_pairs", "{corpus}/{encoder}"),
    benchmark:
        layout.cost("encode_pairs", "{corpus}/{encoder}")
    wildcard_constraints:
        corpus=any_of(shard_corpora(PARAMS)),
    conda:
        "../../environment.yml"
    threads: 8
    resources:
        **limits("encode_pairs"),
        gpu=GPUS_OF_A_JOB,
    params:
        settings=pairs_settings,
    message:
        "Encoding the captions of {wildcards.corpus} by {wildcards.encoder}"
    shell:
        command("encode_pairs.py --corpus {wildcards.corpus} --encoder {wildcards.encoder}" " > {log} 2>&1")


rule ingest_clips:
    input:
        clip_tables,
    output:
        layout.CLIP_ITEMS,
        layout.CAPTIONS,
    log:
        layout.log("ingest_clips", "{corpus}"),
    benchmark:
        layout.cost("ingest_clips", "{corpus}")
    wildcard_constraints:
        corpus=any_of(clip_corpora(PARAMS)),
    conda:
        "../../environment.yml"
    resources:
        **limits("ingest_clips"),
    params:
        settings=clips_settings,
    message:
        "Reading the captions of {wildcards.corpus}"
    shell:
        command("ingest_clips.py --corpus {wildcards.corpus}" " > {log} 2>&1")


rule collect_clips:
    input:
        clip_archive,
        layout.CLIP_ITEMS,
    output:
        layout.LEDGER.replace("{collection}", "{corpus}"),
    log:
        layout.log("collect_clips", "{corpus}"),
    benchmark:
        layout.cost("collect_clips", "{corpus}")
    wildcard_constraints:
        corpus=any_of(clip_corpora(PARAMS)),
    conda:
        "../../environment.yml"
    resources:
        **limits("collect_clips"),
    params:
        settings=videos_settings,
    message:
        "Collecting the videos of {wildcards.corpus}"
    shell:
        command("collect_clips.py --corpus {wildcards.corpus}" " > {log} 2>&1")


rule pair_features:
    input:
        layout.CAPTIONS,
        clip_features,
    output:
        layout.PAIR_INDEX,
    log:
        layout.log("pair_features", "{corpus}/{encoder}"),
    benchmark:
        layout.cost("pair_features", "{corpus}/{encoder}")
    wildcard_constraints:
        corpus=any_of(clip_corpora(PARAMS)),
    conda:
        "../../environment.yml"
    resources:
        **limits("pair_features"),
    params:
        settings=join_settings,
    message:
        "Pairing the videos and captions of {wildcards.corpus} by {wildcards.encoder}"
    shell:
        command("pair_features.py --corpus {wildcards.corpus} --encoder {wildcards.encoder}" " > {log} 2>&1")


rule pair_items:
    input:
        paired_items,
        item_features,
    output:
        layout.PAIR_INDEX,
    log:
        layout.log("pair_items", "{corpus}/{encoder}"),
    benchmark:
        layout.cost("pair_items", "{corpus}/{encoder}")
    wildcard_constraints:
        corpus=any_of(domain_corpora(PARAMS)),
    conda:
        "../../environment.yml"
    resources:
        **limits("pair_items"),
    params:
        settings=join_settings,
    message:
        "Pairing the media and texts of {wildcards.corpus} by {wildcards.encoder}"
    shell:
        command("pair_items.py --corpus {wildcards.corpus} --encoder {wildcards.encoder}" " > {log} 2>&1")
