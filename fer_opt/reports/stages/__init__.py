"""All five stages of classifying photos: statistics, Table 8, verdicts, words and pages."""
