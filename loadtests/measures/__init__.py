"""From what a run recorded to its figures: records, histories, measures, intervals."""
