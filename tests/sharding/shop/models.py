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
