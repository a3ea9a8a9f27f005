"""Snakemake compares the times of files. A raw file may be replaced by one with an older time; this finds it."""


def made_from_raw():
    """Each raw file with a file that is made from it."""
    for name in file_domains(PARAMS):
        row = PARAMS.domains[name]
        for file in domain_files(row):
            yield file, layout.path(layout.INGESTED_INTERACTIONS, domain=name)
            yield file, layout.path(layout.INGESTED_ITEMS, domain=name)
        for attributes in Path().glob(layout.path(layout.ATTRIBUTES, domain=name, k_core="*")):
            yield row.items, attributes
    for name in trailer_collections(PARAMS):
        yield PARAMS.domains[PARAMS.domain_of(name)].vision.trailer_ids, layout.path(layout.LEDGER, collection=name)
    for name, row in PARAMS.catalogues.items():
        for file in (row.items, *PARAMS.domains[row.domain].texts):
            yield file, layout.path(layout.CATALOGUE_ITEMS, catalogue=name)
    for name in clip_corpora(PARAMS):
        row = PARAMS.corpora[name]
        for file in row.tables:
            yield file, layout.path(layout.CLIP_ITEMS, corpus=name)
            yield file, layout.path(layout.CAPTIONS, corpus=name)
        if row.archive:
            yield row.archive, layout.path(layout.LEDGER, collection=name)
    for name in table_encoders(PARAMS):
        row = PARAMS.encoders[name]
        for modality in row.modalities:
            pattern = layout.path(layout.FEATURES, collection="*", encoder=name, modality=modality)
            for features in Path().glob(pattern):
                yield getattr(row, modality), features


def announce_replaced():
    made = {}
    for file, output in made_from_raw():
        made.setdefault(Path(layout.path(layout.RAW_FILE, file=file)), []).append(Path(output))
    try:
        for file in replaced_files(made, Path(layout.RAW_SEEN)):
            print(f"{file} has another content than before: what is made from it is made again.", file=sys.stderr)
    except OSError as error:
        print(f"A raw file that is replaced by an older one will not be noticed: {error}", file=sys.stderr)


# Each job starts another Snakemake, which reads this file again.
if workflow.is_main_process:
    announce_replaced()
