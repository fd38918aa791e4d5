"""Make a trained facial-expression CNN fast enough for a cheap phone, and prove that it is."""

__version__ = "0.1.0"
