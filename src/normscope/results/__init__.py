"""A results folder."""
