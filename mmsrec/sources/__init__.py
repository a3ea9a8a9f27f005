"""The steps from source files to tables, which are the registry, the download and one parser for each format."""
