"""The independent provider and the real Dovecot of the consent tests."""

from tests.consent.conftest import (  # noqa: F401
    admins_browser,
    authority,
    dovecot,
    provider,
    reachable,
    running_provider,
    visitor,
    world,
)
