"""Why a change to people is refused; each message is for the person who asked."""

from __future__ import annotations


class PeopleError(Exception):
    """Root: nothing was changed."""


class AlreadyMember(PeopleError):
    pass


class LastOwner(PeopleError):
    """A tenant keeps at least one owner, else nobody could ever change its members again."""


class BelongsElsewhere(PeopleError):
    """The person's sign-in is not only this organisation's to change."""


class WrongPassword(PeopleError):
    """The person has an account already, with another password."""


class ExceedsMaker(PeopleError):
    """An API key never may what its maker may not."""
