"""Side-by-side timings against peers, each module printing ratios."""
