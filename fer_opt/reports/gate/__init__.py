"""Whether a model regressed: latency in pairs, budgets, and what may be judged at all.

decision        three verdicts on pairs of processes; trimmed: the statistic
pairs           which processes may be judged together; fingerprint: what must agree
holm            several comparisons at once
budgets         percentiles and sizes; samples, stage_samples: the times; budget_words: as written
non_inferiority accuracy on the same samples; predictions: what runs kept of them
against         times of another day; stored: what a record holds
"""
