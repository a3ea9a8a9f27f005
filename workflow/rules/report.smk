# A DVC stage can depend on a folder, but not on a list of files that grows with the parameters. So the files of a
# report are copied into one folder. A job of a second for each file would take longer than the report itself.
for name in PARAMS.reports:

    rule:
        name:
            f"collect_report_{name}"
        input:
            layout.collected_files(PARAMS, name),
        output:
            copies(name),
        log:
            layout.log("collect", name),
        # It takes a second, and would wait longer in the queue of a cluster.
        localrule: True
        conda:
            "../../environment.yml"
        # The command is made when the job runs, and then `name` is another report.
        params:
            report=name,
        message:
            f"Collecting the files of the report {name}"
        shell:
            command("collect.py --report {params.report}" " > {log} 2>&1")


# `snakemake NAME --report report.zip` has the files of a report by exhibit, each with the exhibit's caption.
rule report:
    input:
        collected,
    output:
        report(
            directory(layout.REPORT),
            patterns=["{exhibit}.{kind,csv|html|md|png|svg|tex}"],
            caption="../report/exhibit.rst",
            category=report_title,
            subcategory=exhibit_title,
            labels={"file": "{exhibit}.{kind}"},
        ),
        *map(directory, layout.NUMBERS.values()),
    log:
        layout.log("report", "{report}"),
    benchmark:
        layout.cost("report", "{report}")
    conda:
        "../../environment.yml"
    resources:
        **limits("report"),
    params:
        settings=report_settings,
    message:
        "Writing the report {wildcards.report}"
    shell:
        command("report.py --report {wildcards.report}" " > {log} 2>&1")


# The cost of the run in this folder. The measurements are no inputs, because they are no results that a job must make.
rule costs:
    output:
        report(
            layout.COST_FILES,
            caption="../report/costs.rst",
            category="Costs",
            subcategory="Cost of the run",
        ),
    log:
        layout.log("costs", "costs"),
    localrule: True
    conda:
        "../../environment.yml"
    params:
        measured=newest_measurement,
    message:
        "Summing up what the run cost"
    shell:
        command("costs.py" " > {log} 2>&1")
