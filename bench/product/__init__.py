"""Mailhub as it is measured: its rows, its worker and the check of its store, each in a process of its own."""
