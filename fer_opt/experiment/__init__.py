"""A whole run: from an experiment file to a record, resumable at any point."""
