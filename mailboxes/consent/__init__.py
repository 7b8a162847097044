"""The way through a provider: allauth carries redirect, state and PKCE; who may have what is decided in services."""
