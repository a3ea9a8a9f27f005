"""Snakemake removes what a job makes before it runs. Where the job then fails, its file is missing, and what was made
from the older file stays. The next run finds nothing to be done. So a note keeps what a run is to make, and the next
run names what is still missing.
"""


def unmade():
    """The files that an earlier run was to make and that are missing."""
    try:
        return [file for file in read_json(Path(layout.UNMADE)) if not Path(file).exists()]
    except ArtifactError:
        return []


def planned(jobs):
    return [str(file) for job in jobs for file in job.output]


if workflow.is_main_process and (missing := unmade()):
    print(
        f"An earlier run has not made {len(missing):,} files. If Snakemake now says that nothing is to be done, what "
        f"follows from them is of an older state. Then add: --forcerun {missing[0]}",
        file=sys.stderr,
    )


onstart:
    jobs = list(workflow.dag.needrun_jobs())
    write_json(Path(layout.UNMADE), sorted({*unmade(), *planned(jobs)}))
    # On a cluster, the GPUs are those of other machines.
    if not GPUS and workflow.local_exec:
        for line in without_gpus(jobs, workflow.cores):
            print(line, file=sys.stderr)


onsuccess:
    write_json(Path(layout.UNMADE), unmade())
