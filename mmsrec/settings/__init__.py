"""The parameters of an experiment: one file a topic, read from params.yaml."""
