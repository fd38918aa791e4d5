"""A gate for other programs to read: one format a file, each a pure function of a judged record."""
