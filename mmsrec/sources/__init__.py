"""Raw bytes to tables: where source files come from, how they are fetched, and one parser for each format."""
