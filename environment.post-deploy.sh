# Run by Snakemake in the environment that it has made from environment.yml, from the root of the repository.
pip install --no-deps --editable .
