"""Side-by-side measurements: Mailhub beside its peers, in one run, as ratios."""
