"""Which channels belong together, which matter, and taking the others out."""
