"""The photos of ``fer-opt classify``: which are meant, and what is kept and told of each."""
