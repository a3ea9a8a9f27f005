# Run by Snakemake in the environment that it has made from environment.yml, from the root of the repository. By hand:
# `bash environment.post-deploy.sh` in that environment. The versions then are those that the tests ran with.
set -eu
pip install --no-deps --require-hashes --requirement requirements.lock
pip install --no-deps --no-build-isolation --editable .
