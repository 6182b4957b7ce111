"""What a run leaves for people to read: figures, the scorecard, and one page that holds both."""
