"""A small shop, as another project would write it."""

from typing import ClassVar

from django.db import models

from sharding import (
    EveryDatabase,
    ShardAutoField,
    ShardedManager,
    ShardedModel,
    ShardForeignKey,
    ShardKey,
    ShardOneToOneField,
    ShardRef,
)


class Product(models.Model):
    name = models.CharField(max_length=50)

    def __str__(self) -> str:
        return self.name


class Customer(ShardedModel):
    sharding = ShardKey("customer", field="id")

    id = models.BigIntegerField(primary_key=True)
    name = models.CharField(max_length=50)

    def __str__(self) -> str:
        return self.name


class Order(ShardedModel):
    sharding = ShardKey("customer", field="customer")

    id = ShardAutoField()
    customer = ShardForeignKey(Customer, models.CASCADE, related_name="orders")
    store_id = ShardRef("shop.Store", db_index=True)
    code = models.CharField(max_length=20, default="")
    total = models.IntegerField(default=0)
    placed = models.DateField(null=True)
    wishes = models.JSONField(default=dict)
    replaces = ShardForeignKey("self", models.SET_NULL, null=True, related_name="replaced_by")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["customer", "code"], condition=~models.Q(code=""), name="once")]

    def __str__(self) -> str:
        return str(self.id)


class Line(ShardedModel):
    sharding = ShardKey("customer", field="customer_id")

    id = ShardAutoField()
    customer_id = models.BigIntegerField()
    order = ShardForeignKey(Order, models.CASCADE, related_name="lines")
    product_id = models.BigIntegerField(default=0)
    quantity = models.IntegerField(default=1)
    price = models.DecimalField(max_digits=8, decimal_places=2, null=True)

    def __str__(self) -> str:
        return str(self.id)


class Receipt(ShardedModel):
    """Its primary key is the order's id."""

    sharding = ShardKey("customer", field="customer_id")
    decides_money_or_stock = True

    order = ShardOneToOneField(Order, models.CASCADE, primary_key=True)
    customer_id = models.BigIntegerField()
    text = models.TextField(default="")

    def __str__(self) -> str:
        return self.text


class UrgentOrder(Order):
    class Meta:
        proxy = True

    def __str__(self) -> str:
        return f"urgent {self.id}"


class Note(ShardedModel):
    """At most one for an order, with an id of its own."""

    sharding = ShardKey("customer", field="customer_id")

    id = ShardAutoField()
    customer_id = models.BigIntegerField()
    order = ShardOneToOneField(Order, models.CASCADE, related_name="note")
    text = models.TextField(default="")
    written = models.DateTimeField()

    def __str__(self) -> str:
        return self.text


class Tag(ShardedModel):
    sharding = ShardKey("customer", field="customer")

    id = ShardAutoField()
    customer = ShardForeignKey(Customer, models.CASCADE, related_name="tags")
    name = models.CharField(max_length=20)
    orders = models.ManyToManyField(Order, through="Label", related_name="tags")

    def __str__(self) -> str:
        return self.name


class Label(ShardedModel):
    """A tag on an order."""

    sharding = ShardKey("customer", field="customer_id")

    id = ShardAutoField()
    customer_id = models.BigIntegerField()
    tag = ShardForeignKey(Tag, models.CASCADE)
    order = ShardForeignKey(Order, models.CASCADE)
    weight = models.IntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tag", "order"], name="labelled_once")]

    def __str__(self) -> str:
        return str(self.id)


class Favourite(ShardedModel):
    """Its identity is the customer and the product."""

    sharding = ShardKey("customer", field="customer")

    pk = models.CompositePrimaryKey("customer_id", "product_id")
    customer = ShardForeignKey(Customer, models.CASCADE, related_name="favourites")
    product_id = models.BigIntegerField()
    rank = models.IntegerField(default=0)

    def __str__(self) -> str:
        return str(self.pk)


class Store(ShardedModel):
    sharding = ShardKey("store", field="pk")

    id = models.BigIntegerField(primary_key=True)
    name = models.CharField(max_length=50)

    def __str__(self) -> str:
        return self.name


class Stock(ShardedModel):
    """No id of its own: the key and the product are."""

    sharding = ShardKey("store", field="store")

    pk = models.CompositePrimaryKey("store_id", "product_id")
    store = ShardForeignKey(Store, models.CASCADE)
    product_id = models.BigIntegerField()
    on_hand = models.IntegerField(default=0)

    objects = ShardedManager()

    def __str__(self) -> str:
        return str(self.pk)


class Memo(models.Model):
    sharding: ClassVar = EveryDatabase()

    text = models.CharField(max_length=50)

    def __str__(self) -> str:
        return self.text
