"""The wire alone: takes bytes, strings and deadlines; knows no model, no setting, no framework."""
