"""Programs that do the same work, each measured as its users run it."""
