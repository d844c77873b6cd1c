"""One wrong model for each rule, and the sentence it gets."""

import itertools

import pytest
from django.core.checks import run_checks
from django.db import models
from django.test import override_settings
from django.test.utils import isolate_apps

from sharding import (
    ShardAutoField,
    ShardedManager,
    ShardedModel,
    ShardForeignKey,
    ShardKey,
    ShardRef,
    checks,
    topology,
)
from tests.sharding.shop.models import Customer, Order, Product, Store

CUSTOMER = ShardKey("customer", field="customer_id")


def ids(model: type[models.Model]) -> list[str]:
    return sorted(message.id.removeprefix("sharding.") for message in checks.errors_of(model))


numbers = itertools.count()


def make(*bases: type, **attributes: object) -> type[models.Model]:
    meta = type("Meta", (), {"app_label": "shop", **attributes.pop("meta", {})})
    return type(f"Tried{next(numbers)}", bases or (ShardedModel,), {"__module__": __name__, "Meta": meta, **attributes})


def good(**more: object) -> dict[str, object]:
    return {"sharding": CUSTOMER, "id": ShardAutoField(), "customer_id": models.BigIntegerField(), **more}


def test_the_example_apps_and_the_projects_own_are_sound():
    assert [message for message in run_checks() if message.id.startswith("sharding.")] == []


@isolate_apps("tests.sharding.shop")
@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        (lambda: good(), []),
        (lambda: {"id": ShardAutoField()}, ["E103", "E106"]),
        (lambda: good(sharding=ShardKey("wine", field="customer_id")), ["E104"]),
        (lambda: good(sharding=ShardKey("customer", field="nothing")), ["E105"]),
        (lambda: good(customer_id=models.CharField(max_length=9)), ["E105"]),
        (lambda: good(customer_id=models.BigIntegerField(null=True)), ["E105"]),
        (lambda: good(sharding=ShardKey("customer", field="id")), ["E105"]),
        (lambda: good(id=models.BigAutoField(primary_key=True)), ["E106"]),
        (lambda: good(id=models.UUIDField(primary_key=True)), ["E106"]),
        (lambda: {"sharding": ShardKey("customer", field="id"), "id": models.BigAutoField(primary_key=True)}, ["E106"]),
        (lambda: good(order=models.ForeignKey(Order, models.CASCADE, related_name="+")), ["E107"]),
        (lambda: good(product=models.ForeignKey(Product, models.CASCADE, related_name="+")), ["E107"]),
        (lambda: good(products=models.ManyToManyField(Product, related_name="+")), ["E107"]),
        (lambda: good(store=ShardForeignKey(Store, related_name="+")), ["E108"]),
        (lambda: good(product=ShardForeignKey(Product, related_name="+")), ["E108"]),
        (lambda: good(order=ShardForeignKey(Order, related_name="+")), []),
        (lambda: good(store_id=ShardRef("shop.Store")), []),
        (lambda: good(code=models.CharField(max_length=9, unique=True)), ["E109"]),
        (lambda: good(code=models.IntegerField(), meta={"unique_together": [("code",)]}), ["E109"]),
        (
            lambda: good(
                code=models.IntegerField(), meta={"constraints": [models.UniqueConstraint(fields=["code"], name="u")]}
            ),
            ["E109"],
        ),
        (
            lambda: good(
                code=models.IntegerField(),
                meta={"constraints": [models.UniqueConstraint(fields=["customer_id", "code"], name="u")]},
            ),
            [],
        ),
        (
            lambda: good(
                code=models.IntegerField(),
                order=ShardForeignKey(Order, related_name="+"),
                meta={"constraints": [models.UniqueConstraint(fields=["order", "code"], name="u")]},
            ),
            [],
        ),
        (
            lambda: good(
                code=models.CharField(max_length=9),
                meta={
                    "constraints": [models.UniqueConstraint(models.functions.Lower("code"), "customer_id", name="u")]
                },
            ),
            [],
        ),
        (lambda: good(objects=models.Manager()), ["E110"]),
        (lambda: good(objects=ShardedManager()), []),
    ],
)
def test_each_rule(attributes, expected):
    assert ids(make(**attributes())) == expected


@isolate_apps("tests.sharding.shop")
def test_rules_about_other_bases():
    assert ids(make(models.Model, **good())) == ["E103"]
    assert ids(make(models.Model, order=models.ForeignKey(Order, models.CASCADE, related_name="+"))) == ["E107"]
    assert ids(make(models.Model, id=ShardAutoField())) == ["E106"]

    class Stamped(models.Model):
        class Meta:
            abstract = True
            app_label = "shop"

    (message,) = checks.errors_of(make(Stamped, ShardedModel, **good()))
    assert (message.id, message.hint) == (
        "sharding.E110",
        'Put ShardedModel first among its bases, or set Meta.base_manager_name = "routed".',
    )


@isolate_apps("tests.sharding.shop")
def test_rows_shared_with_a_parent_table_are_refused():
    child = type("Tried", (Customer,), {"__module__": __name__, "Meta": type("Meta", (), {"app_label": "shop"})})
    assert "E105" in ids(child)


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ({"KEYSPACES": {"k": ((0, 4999, "default"),)}}, "bucket 5000 is named by no range"),
        ({"KEYSPACES": {"k": ((0, 5000, "default"), (5000, 9999, "default"))}}, "bucket 5000 is named by"),
        ({"KEYSPACES": {"k": ((0, 9999, "nowhere"),)}}, "names 'nowhere', which is not in DATABASES"),
        ({"KEYSPACES": {"default": ((0, 9999, "default"),)}}, "a keyspace cannot be called 'default'"),
        ({"KEYSPACES": {"k": ()}}, "keyspace k has no shard"),
        ({}, "is not a shard map"),
    ],
)
def test_the_map_is_checked(value, sentence):
    try:
        with override_settings(SHARDING=value):
            topology.forget()
            (message,) = checks.check_topology(None)
            assert message.id == "sharding.E101"
            assert sentence in message.msg
            assert checks.check_models(None) == []
    finally:
        topology.reload()


def test_the_router_is_missed():
    with override_settings(DATABASE_ROUTERS=[]):
        assert [message.id for message in checks.check_topology(None)] == ["sharding.E102"]
