"""The directory of stores: small, read everywhere, kept in the global database."""

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from typing_extensions import override


class Retailer(models.Model):
    name = models.CharField(max_length=80, unique=True)

    @override
    def __str__(self) -> str:
        return self.name


class Zone(models.Model):
    """A dispatch market."""

    name = models.CharField(max_length=80, unique=True)
    lat = models.FloatField(validators=[MinValueValidator(-90), MaxValueValidator(90)])
    lng = models.FloatField(validators=[MinValueValidator(-180), MaxValueValidator(180)])
    radius_m = models.PositiveIntegerField()

    @override
    def __str__(self) -> str:
        return self.name


class Store(models.Model):
    retailer = models.ForeignKey(Retailer, on_delete=models.PROTECT, related_name="stores")
    zone = models.ForeignKey(Zone, on_delete=models.PROTECT, related_name="stores")
    code = models.CharField(max_length=64, unique=True)
    name = models.CharField(max_length=120)
    address = models.CharField(max_length=120)
    city = models.CharField(max_length=60)
    state = models.CharField(max_length=2)
    postcode = models.CharField(max_length=10)
    lat = models.FloatField(validators=[MinValueValidator(-90), MaxValueValidator(90)])
    lng = models.FloatField(validators=[MinValueValidator(-180), MaxValueValidator(180)])
    timezone = models.CharField(max_length=40)
    currency = models.CharField(max_length=3, default="USD")
    delivery_radius_m = models.PositiveIntegerField()
    minimum_basket_cents = models.PositiveIntegerField()
    checks_receipts = models.BooleanField(
        default=False,
        db_default=False,
        help_text="Shoppers enter the total of the till's receipt and count the bags before they leave.",
    )
    is_paused = models.BooleanField(default=False)
    paused_until = models.DateTimeField(
        null=True, blank=True, help_text="A pause ends by itself then (UTC); empty: it lasts until somebody ends it."
    )

    class Meta:
        indexes = [models.Index(fields=["lat", "lng"], name="stores_store_place")]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(lat__gte=-90, lat__lte=90, lng__gte=-180, lng__lte=180), name="stores_store_on_earth"
            )
        ]

    @override
    def __str__(self) -> str:
        return f"{self.name} ({self.code})"


class StoreHours(models.Model):
    store = models.ForeignKey(Store, on_delete=models.CASCADE, related_name="hours")
    weekday = models.PositiveSmallIntegerField(help_text="Monday is 0.")
    opens = models.TimeField()
    closes = models.TimeField(help_text="At or before the opening time means on the next day.")

    class Meta:
        verbose_name_plural = "store hours"
        constraints = [
            models.UniqueConstraint(fields=["store", "weekday"], name="stores_hours_once_a_day"),
            models.CheckConstraint(condition=models.Q(weekday__lte=6), name="stores_hours_weekday"),
        ]

    @override
    def __str__(self) -> str:
        return f"{self.store_id}: {self.weekday} {self.opens}-{self.closes}"


class SpecialDay(models.Model):
    """A date on which the usual hours do not count: other hours, or none."""

    store = models.ForeignKey(Store, on_delete=models.CASCADE, related_name="special_days")
    date = models.DateField()
    opens = models.TimeField(null=True, blank=True, help_text="Both times empty: closed all day.")
    closes = models.TimeField(null=True, blank=True, help_text="At or before the opening time means on the next day.")
    reason = models.CharField(max_length=60, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["store", "date"], name="stores_special_once_a_day"),
            models.CheckConstraint(
                condition=models.Q(opens__isnull=True, closes__isnull=True)
                | models.Q(opens__isnull=False, closes__isnull=False),
                name="stores_special_both_times_or_none",
            ),
        ]

    @override
    def __str__(self) -> str:
        return f"{self.store_id}: {self.date} {self.reason}"
