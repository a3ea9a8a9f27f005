rule ingest:
    input:
        raw_files,
    output:
        layout.INGESTED_INTERACTIONS,
        layout.INGESTED_ITEMS,
    log:
        layout.log("ingest", "{domain}"),
    benchmark:
        layout.cost("ingest", "{domain}")
    wildcard_constraints:
        domain=any_of(file_domains(PARAMS)),
    conda:
        "../../environment.yml"
    resources:
        **limits("ingest"),
    params:
        settings=ingest_settings,
    message:
        "Reading the raw files of {wildcards.domain}"
    shell:
        command("ingest.py --domain {wildcards.domain}" " > {log} 2>&1")


rule unite:
    input:
        members,
    output:
        layout.INGESTED_INTERACTIONS,
        layout.INGESTED_ITEMS,
    log:
        layout.log("unite", "{domain}"),
    benchmark:
        layout.cost("unite", "{domain}")
    wildcard_constraints:
        domain=any_of(union_domains(PARAMS)),
    conda:
        "../../environment.yml"
    resources:
        **limits("unite"),
    params:
        settings=union_settings,
    message:
        "Joining the domains of {wildcards.domain}"
    shell:
        command("unite.py --domain {wildcards.domain}" " > {log} 2>&1")


rule prepare:
    input:
        layout.INGESTED_INTERACTIONS,
        layout.INGESTED_ITEMS,
    output:
        layout.INTERACTIONS,
        layout.ITEMS,
        layout.STATISTICS,
    log:
        layout.log("prepare", "{domain}/k{k_core}"),
    benchmark:
        layout.cost("prepare", "{domain}/k{k_core}")
    wildcard_constraints:
        domain=any_of(sorted(PARAMS.domains.keys() - repeat_domains(PARAMS))),
    conda:
        "../../environment.yml"
    resources:
        **limits("prepare"),
    message:
        "Filtering {wildcards.domain} to its {wildcards.k_core}-core"
    shell:
        command("prepare.py --domain {wildcards.domain} --k-core {wildcards.k_core}" " > {log} 2>&1")


# A separate rule, so that the jobs of all other domains record no setting more than before.
use rule prepare as prepare_repeats with:
    wildcard_constraints:
        domain=any_of(repeat_domains(PARAMS)),
    params:
        settings=repeats_settings,


rule ingest_items:
    input:
        catalogue_files,
    output:
        layout.CATALOGUE_ITEMS,
    log:
        layout.log("ingest_items", "{catalogue}"),
    benchmark:
        layout.cost("ingest_items", "{catalogue}")
    conda:
        "../../environment.yml"
    resources:
        **limits("ingest_items"),
    params:
        settings=catalogue_settings,
    message:
        "Reading the new items of {wildcards.catalogue}"
    shell:
        command("ingest_items.py --catalogue {wildcards.catalogue}" " > {log} 2>&1")


rule split:
    input:
        layout.INTERACTIONS,
        layout.ITEMS,
    output:
        layout.SEQUENCES,
    log:
        layout.log("split", "{domain}/k{k_core}/{split}"),
    benchmark:
        layout.cost("split", "{domain}/k{k_core}/{split}")
    conda:
        "../../environment.yml"
    resources:
        **limits("split"),
    params:
        settings=split_settings,
    message:
        "Ordering the sequences of {wildcards.domain} (k={wildcards.k_core}, {wildcards.split})"
    shell:
        command(
            "split.py --domain {wildcards.domain} --k-core {wildcards.k_core} --split {wildcards.split}"
            " > {log} 2>&1"
        )


rule attributes:
    input:
        raw_items,
        layout.ITEMS,
    output:
        layout.ATTRIBUTES,
    log:
        layout.log("attributes", "{domain}/k{k_core}"),
    benchmark:
        layout.cost("attributes", "{domain}/k{k_core}")
    conda:
        "../../environment.yml"
    resources:
        **limits("attributes"),
    params:
        settings=attributes_settings,
    message:
        "Reading the attributes of {wildcards.domain} (k={wildcards.k_core})"
    shell:
        command("attributes.py --domain {wildcards.domain} --k-core {wildcards.k_core}" " > {log} 2>&1")
