from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.db import models
from django.db.models.functions import Lower

from accounts.grants import Grants
from accounts.ids import new_id
from accounts.models.tenant import Tenant
from accounts.roles import PLATFORM_RIGHTS, RIGHTS, Right, Role, roles_with
from accounts.visibility import visible_tenants

if TYPE_CHECKING:
    from django.db.models.fields.related_descriptors import RelatedManager

    from accounts.models.membership import Membership


class UserQuerySet(models.QuerySet["User"]):
    def visible_to(self, actor: Any, right: Right | None = None) -> Self:
        """Oneself, and the members of the tenants where `actor` may see members."""
        tenants = visible_tenants(actor, right or Right.MEMBERS_VIEW)
        if tenants is None:
            return self.none()
        fellows = models.Q(memberships__tenant__in=tenants.order_by().values("pk"))
        return self.filter(pk__in=User.objects.filter(fellows | models.Q(pk=actor.pk)).values("pk"))


class UserManager(BaseUserManager.from_queryset(UserQuerySet)):  # type: ignore[misc]
    def create_user(self, email: str, password: str | None = None, **fields: Any) -> User:
        """A person who can sign in; without a password only after a set-password link."""
        user: User = self.model(email=email, **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> User:
        """A platform operator: keeps the installation, sees no tenant's mail."""
        return self.create_user(email, password, **{**fields, "is_superuser": True})

    def get_by_natural_key(self, username: str | None) -> User:
        person: User = self.get(email=(username or "").lower())
        return person


class User(AbstractBaseUser, PermissionsMixin):
    """A person who signs in. What they may do comes from their memberships alone."""

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    email = models.EmailField("e-mail address", unique=True)
    name = models.CharField(max_length=120, blank=True)
    is_active = models.BooleanField(default=True)
    # Made by create_demo: the only person who may put off the second factor, and only on a local installation.
    is_demo = models.BooleanField(default=False, editable=False)
    date_joined = models.DateTimeField(auto_now_add=True)

    objects: ClassVar[UserManager] = UserManager()

    if TYPE_CHECKING:
        memberships: RelatedManager[Membership]

    class Meta:
        ordering = ("email",)
        constraints = [models.UniqueConstraint(Lower("email"), name="user_email_once")]

    def __str__(self) -> str:
        return self.email

    def save(self, *args: Any, **kwargs: Any) -> None:
        self.email = self.email.lower()
        super().save(*args, **kwargs)

    def clean(self) -> None:
        self.email = self.email.lower()

    def get_full_name(self) -> str:
        return self.name or self.email

    def get_short_name(self) -> str:
        return self.name or self.email

    @property
    def is_staff(self) -> bool:
        """Whether any page of the administration opens at all."""
        return self.is_active and (self.is_superuser or self.memberships.exists())

    @property
    def actor_kind(self) -> str:
        return "person"

    @property
    def actor_id(self) -> str:
        return str(self.pk)

    @property
    def actor_label(self) -> str:
        return self.email

    def tenants_with(self, right: Right | None) -> models.QuerySet[Tenant]:
        """The tenants where this person holds `right` (None: belongs at all); lazy.

        A platform operator reaches every tenant, but no tenant's mail, not even as its member: else making
        oneself a member would be a way round the recorded break-glass.
        """
        if not self.is_active or (right is Right.MAIL_READ and self.is_superuser):
            return Tenant.objects.none()
        if self.is_superuser and (right is None or right in PLATFORM_RIGHTS):
            return Tenant.objects.all()
        memberships = self.memberships.all()
        if right is Right.MAIL_READ:
            memberships = memberships.filter(may_read_mail=True)
        elif right is not None:
            memberships = memberships.filter(role__in=roles_with(right))
        return Tenant.objects.filter(pk__in=memberships.order_by().values("tenant_id"))

    def grants(self) -> Grants:
        """Everything this person may do, in one query; for a page that asks many times (`grants_of(request)`)."""
        if not self.is_active:
            return Grants()
        held = {
            tenant: RIGHTS[Role(role)] | ({Right.MAIL_READ} if reads and not self.is_superuser else frozenset())
            for tenant, role, reads in self.memberships.order_by().values_list("tenant_id", "role", "may_read_mail")
        }
        return Grants(PLATFORM_RIGHTS if self.is_superuser else frozenset(), held)
