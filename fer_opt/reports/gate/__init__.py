"""Whether a model regressed: latency in pairs, budgets, and what may be judged at all."""
