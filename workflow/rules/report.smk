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
        conda:
            "../../environment.yml"
        # The command is made when the job runs, and then `name` is another report.
        params:
            report=name,
        message:
            f"Collecting the files of the report {name}"
        shell:
            command("collect.py --report {params.report}" " > {log} 2>&1")


rule report:
    input:
        collected,
    output:
        directory(layout.REPORT),
        *map(directory, layout.NUMBERS.values()),
    log:
        layout.log("report", "{report}"),
    benchmark:
        layout.cost("report", "{report}")
    conda:
        "../../environment.yml"
    params:
        settings=report_settings,
    message:
        "Writing the report {wildcards.report}"
    shell:
        command("report.py --report {wildcards.report}" " > {log} 2>&1")
