"""What a run found out: the record, the statistics over it, and the reports made of it."""
