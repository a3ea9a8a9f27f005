# A DVC stage can depend on a folder, but not on a list of files that grows with the parameters. So the files of a
# report are copied into one folder.
rule collect:
    input:
        "{file}",
    output:
        layout.COLLECTED_FILE,
    log:
        layout.log("collect", "{report}/{file}"),
    wildcard_constraints:
        file=r"(data/processed|models|results)/(?!collected/).+\.(json|parquet)",
    conda:
        "../../environment.yml"
    message:
        "Collecting {input} for {wildcards.report}"
    shell:
        "mkdir -p $(dirname {output}) && cp {input} {output}.part && mv {output}.part {output}" " > {log} 2>&1"


rule report:
    input:
        collected,
    output:
        directory(layout.REPORT),
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
