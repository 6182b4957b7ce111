"""Closed forms in NumPy and float64, against which measurements are checked; one file per theory."""
