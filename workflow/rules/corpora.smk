# The shards lie beside their list, and the pairs beside their index, outside the outputs: a run that was killed goes on.


rule download_corpus:
    output:
        "data/raw/corpora/{corpus}/shards.json",
    log:
        "logs/download_corpus/{corpus}.log",
    benchmark:
        "logs/download_corpus/{corpus}.tsv"
    wildcard_constraints:
        corpus=any_of(shard_corpora(PARAMS)),
    conda:
        "../../environment.yml"
    params:
        settings=shards_settings,
    message:
        "Fetching the shards of {wildcards.corpus}"
    shell:
        "python workflow/scripts/download_corpus.py --corpus {wildcards.corpus}"
        " --output data/raw/corpora/{wildcards.corpus}"
        " > {log} 2>&1"


rule encode_pairs:
    input:
        "data/raw/corpora/{corpus}/shards.json",
    output:
        "data/pairs/{corpus}/{encoder}/index.json",
    log:
        "logs/encode_pairs/{corpus}/{encoder}.log",
    benchmark:
        "logs/encode_pairs/{corpus}/{encoder}.tsv"
    wildcard_constraints:
        corpus=any_of(shard_corpora(PARAMS)),
    conda:
        "../../environment.yml"
    threads: 8
    resources:
        gpu=1,
    params:
        settings=pairs_settings,
    message:
        "Encoding the captions of {wildcards.corpus} by {wildcards.encoder}"
    shell:
        "python workflow/scripts/encode_pairs.py --corpus {wildcards.corpus} --encoder {wildcards.encoder}"
        " --raw data/raw/corpora/{wildcards.corpus}"
        " --output data/pairs/{wildcards.corpus}/{wildcards.encoder}"
        " > {log} 2>&1"


rule ingest_clips:
    input:
        clip_tables,
    output:
        "data/corpora/{corpus}/items.parquet",
        "data/corpora/{corpus}/captions.parquet",
    log:
        "logs/ingest_clips/{corpus}.log",
    benchmark:
        "logs/ingest_clips/{corpus}.tsv"
    wildcard_constraints:
        corpus=any_of(clip_corpora(PARAMS)),
    conda:
        "../../environment.yml"
    params:
        settings=clips_settings,
    message:
        "Reading the captions of {wildcards.corpus}"
    shell:
        "python workflow/scripts/ingest_clips.py --corpus {wildcards.corpus}"
        " --output data/corpora/{wildcards.corpus}"
        " > {log} 2>&1"


rule collect_clips:
    input:
        clip_archive,
        catalogue="data/corpora/{corpus}/items.parquet",
    output:
        "data/media/{corpus}/ledger.parquet",
    log:
        "logs/collect_clips/{corpus}.log",
    benchmark:
        "logs/collect_clips/{corpus}.tsv"
    wildcard_constraints:
        corpus=any_of(clip_corpora(PARAMS)),
    conda:
        "../../environment.yml"
    params:
        settings=videos_settings,
    message:
        "Collecting the videos of {wildcards.corpus}"
    shell:
        "python workflow/scripts/collect_clips.py --corpus {wildcards.corpus}"
        " --items {input.catalogue}"
        " --output data/media/{wildcards.corpus}"
        " > {log} 2>&1"


rule pair_features:
    input:
        captions="data/corpora/{corpus}/captions.parquet",
        vision="data/features/{corpus}/{encoder}/vision.parquet",
        text="data/features/{corpus}/{encoder}/text.parquet",
    output:
        "data/pairs/{corpus}/{encoder}/index.json",
    log:
        "logs/pair_features/{corpus}/{encoder}.log",
    benchmark:
        "logs/pair_features/{corpus}/{encoder}.tsv"
    wildcard_constraints:
        corpus=any_of(clip_corpora(PARAMS)),
    conda:
        "../../environment.yml"
    params:
        settings=join_settings,
    message:
        "Pairing the videos and captions of {wildcards.corpus} by {wildcards.encoder}"
    shell:
        "python workflow/scripts/pair_features.py --corpus {wildcards.corpus} --encoder {wildcards.encoder}"
        " --captions {input.captions}"
        " --vision {input.vision}"
        " --text {input.text}"
        " --output data/pairs/{wildcards.corpus}/{wildcards.encoder}"
        " > {log} 2>&1"
