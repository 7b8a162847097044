from django.apps import AppConfig


class ConsentConfig(AppConfig):
    """An application of its own, because allauth looks for provider classes in `<application>.provider`."""

    name = "mailboxes.consent"
    label = "mailhub_consent"
