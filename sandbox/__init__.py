"""A pretend provider on this machine: OAuth 2.0/OIDC with a consent page, and IMAP, POP3, SMTP that accept its tokens.

Run it with `python -m sandbox`. It knows nothing of Mailhub, and Mailhub never imports it: the two meet on the wire and
in one file, MAILHUB_DATA/sandbox/endpoints.json.
"""
