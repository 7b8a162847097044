"""API v1: how a program comes in. Gathers input, calls one service, shows the result; one noun a file."""
