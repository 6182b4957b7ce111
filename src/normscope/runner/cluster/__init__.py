"""Runs cells on a Ray cluster, started here or joined."""
