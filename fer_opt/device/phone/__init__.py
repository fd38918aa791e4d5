"""Timing models on a phone: its facts, its state, what is pushed to it and what comes back."""
