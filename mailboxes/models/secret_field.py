"""Secrets at rest: opaque, lazy, never ciphertext by accident, and sealed to their row.

A strict layer over django-encrypted-model-fields, whose own field answers the *ciphertext* when it cannot decrypt.
What is sealed names its table, column and primary key, so a ciphertext copied to another row does not open there.
"""

from __future__ import annotations

import hmac
from typing import Any, NoReturn

from cryptography.fernet import InvalidToken
from django.core.exceptions import FieldError
from django.db import models
from django.db.models.expressions import BaseExpression
from django.db.models.query_utils import DeferredAttribute
from encrypted_model_fields import fields as emf

_SEPARATOR = "\x1f"


class SecretUnreadable(Exception):
    """Stored ciphertext that no configured key opens, or that belongs to another row. Names the place, never the content."""


class Secret:
    """Opaque: only reveal() gives the text, and only services/tokens.py and services/bodies.py may call it."""

    __slots__ = ("_clear", "_owner", "_place", "_sealed")

    def __init__(self, clear: str | None = None, *, sealed: str | None = None, place: str = "") -> None:
        self._clear, self._sealed, self._place = clear, sealed, place
        self._owner: models.Model | None = None

    def reveal(self) -> str:
        """The text. Raises SecretUnreadable for an alien key, a cut value, or one sealed to another row."""
        if self._clear is None:
            if self._owner is None:
                raise SecretUnreadable(f"{self._place}: read without its row (values() and the like)")
            self._clear = _open(self._sealed or "", f"{self._place}:{self._owner.pk}")
        return self._clear

    def __repr__(self) -> str:
        return "<secret>"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return "<secret>"

    def __bool__(self) -> bool:
        return True

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self.reveal().encode(), other.reveal().encode())

    __hash__ = None  # type: ignore[assignment]

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: object) -> Secret:
        return self

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("secrets are not pickled (cache, queue, session)")


def _open(sealed: str, context: str) -> str:
    try:
        found, separator, clear = emf.decrypt_str(sealed).partition(_SEPARATOR)
    except (InvalidToken, ValueError, TypeError):
        raise SecretUnreadable(f"{context}: no configured key opens it") from None
    if not separator or found != context:
        raise SecretUnreadable(f"{context}: it was sealed to another row")
    return str(clear)


class _SecretAttribute(DeferredAttribute):
    """`row.token = "text"` is wrapped at once, so that even an unsaved row does not show it."""

    def __set__(self, instance: models.Model, value: Any) -> None:
        secret = self.field.to_python(value)
        if isinstance(secret, Secret):
            owner, place = secret._owner, _place(self.field)
            if owner is not None and owner is not instance:
                if owner.pk == instance.pk and secret._place == place and secret._sealed is not None:
                    secret = Secret(sealed=secret._sealed)  # the same row, loaded again
                else:
                    secret = Secret(secret.reveal())  # copied to another row: sealed anew, to that row
            secret._owner, secret._place = instance, place
        instance.__dict__[self.field.attname] = secret


def _place(field: Any) -> str:
    return f"{field.model._meta.db_table}.{field.column}"


class SecretField(emf.EncryptedTextField):
    """A text that only services read. Nullable; not editable; no look-up but isnull; no update(), bulk_update() in clear."""

    descriptor_class = _SecretAttribute

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["editable"] = False  # out of every ModelForm, admin form, model_to_dict
        super().__init__(*args, **kwargs)

    def deconstruct(self) -> tuple[str, str, list[Any], dict[str, Any]]:
        name, path, args, kwargs = super().deconstruct()
        kwargs.pop("editable", None)
        return name, path, args, kwargs

    def seal(self, pk: object, clear: str) -> Secret:
        """A value for a conditional update(): sealed to the row with this primary key. For services/tokens.py alone."""
        context = f"{_place(self)}:{pk}"
        return Secret(sealed=emf.encrypt_str(context + _SEPARATOR + clear).decode(), place=_place(self))

    def to_python(self, value: Any) -> Any:  # never tries to decrypt what a person typed
        if value is None or isinstance(value, (Secret, BaseExpression)):
            return value
        if not isinstance(value, str):
            raise TypeError(f"{self.name}: a secret is text")
        return Secret(value)

    def from_db_value(self, value: str | None, expression: object, connection: object) -> Secret | None:
        return None if value is None else Secret(sealed=value, place=_place(self))

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:
        secret = getattr(model_instance, self.attname)
        if isinstance(secret, Secret) and secret._sealed is None:
            sealed = self.seal(model_instance.pk, secret.reveal())
            secret._sealed, secret._owner = sealed._sealed, model_instance
        return secret

    def get_prep_value(self, value: Any) -> Any:
        return value

    def get_db_prep_value(self, value: Any, connection: Any, prepared: bool = False) -> Any:
        value = self.to_python(value)
        if isinstance(value, Secret):
            if value._sealed is None:
                raise FieldError(f"{self.name}: a clear secret reaches the database only by save(), sealed to its row")
            return value._sealed
        return value

    def get_db_prep_save(self, value: Any, connection: Any) -> Any:
        if hasattr(value, "as_sql"):
            return value
        return self.get_db_prep_value(value, connection)

    def get_lookup(self, lookup_name: str) -> Any:
        if lookup_name != "isnull":
            raise FieldError(f"{self.name}: secrets cannot be searched ({lookup_name})")
        return super().get_lookup(lookup_name)

    def get_transform(self, lookup_name: str) -> NoReturn:
        raise FieldError(f"{self.name}: secrets cannot be transformed")

    def value_to_string(self, obj: object) -> NoReturn:  # dumpdata and other serializers
        raise TypeError(f"{self.name}: secrets are not serialized")

    def formfield(self, **kwargs: Any) -> None:
        return None
