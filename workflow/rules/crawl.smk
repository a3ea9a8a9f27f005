# The media and the log of a crawl lie next to its ledger. They are not outputs, so Snakemake keeps them and a killed
# run continues.


rule crawl_images:
    input:
        items,
    output:
        layout.LEDGER,
    log:
        layout.log("crawl_images", "{collection}"),
    benchmark:
        layout.cost("crawl_images", "{collection}")
    wildcard_constraints:
        collection=any_of(picture_collections(PARAMS)),
    conda:
        "../../environment.yml"
    resources:
        **limits("crawl_images"),
    params:
        settings=media_settings,
    message:
        "Crawling the pictures of {wildcards.collection}"
    shell:
        command("crawl_images.py --domain {wildcards.collection}" " > {log} 2>&1")


rule crawl_trailers:
    input:
        items,
        trailer_ids,
    output:
        layout.LEDGER,
    log:
        layout.log("crawl_trailers", "{collection}"),
    benchmark:
        layout.cost("crawl_trailers", "{collection}")
    wildcard_constraints:
        collection=any_of(trailer_collections(PARAMS)),
    conda:
        "../../environment.yml"
    resources:
        **limits("crawl_trailers"),
    params:
        settings=media_settings,
    message:
        "Crawling the trailers of {wildcards.collection}"
    shell:
        command("crawl_trailers.py --domain {wildcards.collection}" " > {log} 2>&1")
