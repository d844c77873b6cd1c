"""Who may sign in (global), and what we know about them (on their own shard, encrypted)."""

import json
from dataclasses import asdict
from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.db import models
from typing_extensions import override

from apps.accounts import domain
from apps.accounts.errors import EmailInvalid
from apps.accounts.types import Address as AddressType
from apps.accounts.types import AddressInput, Profile
from apps.common import crypto
from apps.common.geo import Point
from sharding import ShardAutoField, ShardedModel, ShardForeignKey, ShardKey


def login_hash(email: str) -> str:
    """What finds the account of ``email``, in any spelling; raises ``EmailInvalid``."""
    return crypto.keyed_hash(domain.normalised_email(email), purpose="accounts.login")


class UserManager(BaseUserManager["User"]):
    @override
    def get_by_natural_key(self, username: str | None) -> "User":
        """The account of an e-mail address. What cannot be an address is answered like one nobody has."""
        try:
            return self.get(login_hash=login_hash(username or ""))
        except EmailInvalid:
            raise self.model.DoesNotExist from None


class User(AbstractBaseUser, PermissionsMixin):
    """Somebody who may sign in. The table holds no personal data; ``id`` is dense and is the customer's id too."""

    id = models.BigAutoField(primary_key=True)
    login_hash = models.CharField("e-mail", max_length=254, unique=True, editable=False)
    """64 hex digits. Sign-in forms take their label and longest input from this field, hence its name and length."""
    is_staff = models.BooleanField("staff", default=False, help_text="May enter the admin.")
    is_active = models.BooleanField("active", default=True, help_text="May sign in. Withdraw it instead of deleting.")
    date_joined = models.DateTimeField(editable=False)

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "login_hash"

    @override
    def __str__(self) -> str:
        return f"user {self.pk}"

    def get_short_name(self) -> str:
        """What the admin greets with: the user name would be 64 hex digits."""
        return str(self)

    def get_full_name(self) -> str:
        return str(self)


class StaffRole(models.Model):
    """What a member of staff may do, and where: ``store_id`` for roles at one store."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="staff_roles")
    role = models.CharField(max_length=20, choices=[(role, role) for role in sorted(domain.ROLES)])
    store_id = models.BigIntegerField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["user", "role", "store_id"], nulls_distinct=False, name="accounts_staff_role_once"
            ),
            models.CheckConstraint(
                condition=models.Q(role__in=sorted(domain.STORE_ROLES), store_id__isnull=False)
                | (~models.Q(role__in=sorted(domain.STORE_ROLES)) & models.Q(store_id__isnull=True)),
                name="accounts_staff_role_where_it_is_held",
            ),
        ]

    @override
    def __str__(self) -> str:
        return self.role if self.store_id is None else f"{self.role} at store {self.store_id}"


class PersonalData(models.Model):
    """A person's name, e-mail and phone under their own data key. Throwing ``data_key`` away erases them."""

    data_key = models.BinaryField()
    name = models.BinaryField()
    email = models.BinaryField()
    phone = models.BinaryField(default=b"")
    locale = models.CharField(max_length=20, default="en-US")

    class Meta:
        abstract = True

    def key(self) -> bytes:
        return crypto.data_key(bytes(self.data_key))

    def opened(self) -> Profile:
        key = self.key()
        return Profile(
            customer_id=self.pk,
            name=crypto.decrypt(bytes(self.name), key=key),
            email=crypto.decrypt(bytes(self.email), key=key),
            locale=self.locale,
        )

    def sealed(self) -> dict[str, Any]:
        """The columns as they are stored, to be copied into another table."""
        return {field.attname: getattr(self, field.attname) for field in PersonalData._meta.local_concrete_fields}


class PendingProfile(PersonalData):
    """The profile of a fresh sign-up, written with its ``User``, until it has reached the customer's shard."""

    user = models.OneToOneField(User, on_delete=models.CASCADE, primary_key=True)

    @override
    def __str__(self) -> str:
        return f"pending profile of user {self.pk}"


class CustomerProfile(ShardedModel, PersonalData):
    """The root of everything a customer has on their shard."""

    id = models.BigIntegerField(primary_key=True)

    sharding: ClassVar = ShardKey("customer", field="id")

    @override
    def __str__(self) -> str:
        return f"customer {self.pk}"


class Address(ShardedModel):
    """Where a customer wants things brought. Everything a person could be found by is in ``details``, encrypted."""

    id = ShardAutoField(primary_key=True)
    customer = ShardForeignKey(CustomerProfile, on_delete=models.CASCADE, related_name="addresses")
    details = models.BinaryField()
    created_at = models.DateTimeField()

    sharding: ClassVar = ShardKey("customer", field="customer")

    @override
    def __str__(self) -> str:
        return f"address {self.pk} of customer {self.customer_id}"

    @staticmethod
    def seal(address: AddressInput, *, key: bytes) -> bytes:
        return crypto.encrypt(json.dumps(asdict(address)), key=key)

    def as_typed(self, *, key: bytes) -> AddressInput:
        return AddressInput(**json.loads(crypto.decrypt(bytes(self.details), key=key)))

    def opened(self, *, key: bytes) -> AddressType:
        typed = asdict(self.as_typed(key=key))
        return AddressType(id=self.pk, point=Point(typed.pop("lat"), typed.pop("lng")), **typed)
