"""HTTP: parse, hand over, map back."""
