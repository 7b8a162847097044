"""What cannot be undone is confirmed by typing the mailbox's address."""

from __future__ import annotations

from typing import Any

from django import forms

from mailboxes.models import Mailbox


class TypedAddress(forms.Form):
    address = forms.CharField(label="To confirm, type the mailbox's address", max_length=254)

    def __init__(self, data: Any, *, mailbox: Mailbox) -> None:
        super().__init__(data)
        self.mailbox = mailbox

    def clean_address(self) -> str:
        typed: str = self.cleaned_data["address"].strip()
        if typed.casefold() != self.mailbox.address.casefold():
            raise forms.ValidationError(f"That is not {self.mailbox.address}.")
        return typed
