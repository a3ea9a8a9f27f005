from snakemake.utils import min_version

min_version("9.0")


report: "workflow/report/workflow.rst"


include: "workflow/rules/common.smk"
include: "workflow/rules/settings.smk"
include: "workflow/rules/replaced.smk"
include: "workflow/rules/unfinished.smk"
include: "workflow/rules/download.smk"
include: "workflow/rules/prepare.smk"
include: "workflow/rules/crawl.smk"
include: "workflow/rules/features.smk"
include: "workflow/rules/corpora.smk"
include: "workflow/rules/pretrain.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/report.smk"


# The paper's whole experiment. A params.yaml of one's own may lack it.
rule all:
    default_target: True
    input:
        [layout.path(layout.REPORT, report=name) for name in PARAMS.reports if name == "paper"],


# One target for each report, with the report's name: `snakemake demo`.
for name in PARAMS.reports:

    rule:
        name:
            target(name, "reports")
        input:
            layout.path(layout.REPORT, report=name),


# One target for each catalogue, with the catalogue's name: the features of its items.
for catalogue in PARAMS.catalogues:

    rule:
        name:
            target(catalogue, "catalogues")
        input:
            [layout.path(layout.FEATURES, row) for row in catalogue_features(PARAMS, catalogue)],


# A failed job's own message is the last thing on the terminal.
onerror:
    print(*failures(log), sep="\n", file=sys.stderr)
