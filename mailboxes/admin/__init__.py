"""How a person comes in: gathers input, calls one service, shows the result."""

from mailboxes.admin.provider_app import ProviderAppAdmin

__all__ = ["ProviderAppAdmin"]
