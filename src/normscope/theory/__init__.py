"""Closed forms, in NumPy and float64: what measurements are held against. One file a theory."""
