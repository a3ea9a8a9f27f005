# The media and the log of a crawl lie beside its ledger, outside the outputs: a run that was killed goes on from them.


rule crawl_images:
    input:
        items,
    output:
        "data/media/{domain}/ledger.parquet",
    log:
        "logs/crawl_images/{domain}.log",
    benchmark:
        "logs/crawl_images/{domain}.tsv"
    wildcard_constraints:
        domain=any_of(picture_domains(PARAMS)),
    conda:
        "../../environment.yml"
    params:
        settings=media_settings,
    message:
        "Crawling the pictures of {wildcards.domain}"
    shell:
        "python workflow/scripts/crawl_images.py --domain {wildcards.domain}"
        " --items {input}"
        " --output data/media/{wildcards.domain}"
        " > {log} 2>&1"


rule crawl_trailers:
    input:
        catalogue=items,
        trailer_ids=trailer_ids,
    output:
        "data/media/{domain}/ledger.parquet",
    log:
        "logs/crawl_trailers/{domain}.log",
    benchmark:
        "logs/crawl_trailers/{domain}.tsv"
    wildcard_constraints:
        domain=any_of(trailer_domains(PARAMS)),
    conda:
        "../../environment.yml"
    params:
        settings=media_settings,
    message:
        "Crawling the trailers of {wildcards.domain}"
    shell:
        "python workflow/scripts/crawl_trailers.py --domain {wildcards.domain}"
        " --items {input.catalogue}"
        " --trailer-ids {input.trailer_ids}"
        " --output data/media/{wildcards.domain}"
        " > {log} 2>&1"
