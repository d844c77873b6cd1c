"""What decides about money or stock says so, and so is never read from a replica."""

from django.apps import apps

from sharding import ShardedModel

LATE_IS_HARMLESS = {
    "accounts.Address",
    "accounts.CustomerProfile",
    "catalog.FeedRowError",
    "catalog.FeedRun",
    "catalog.Item",  # the price on the shelf; what an order costs is read again when it is placed
    "dispatch.BatchStop",
    "fulfilment.Proof",
    "fulfilment.StoreOrder",
    "orders.OrderEvent",
    "shoppers.Certification",  # claiming and accepting ask again
    "shoppers.Pick",
    "shoppers.Shopper",
    *("notifications.Notification", "notifications.Mute", "notifications.RefusedAddress"),
}


def test_every_sharded_model_is_on_one_side():
    ours = {
        model._meta.label: model.decides_money_or_stock
        for model in apps.get_models()
        if issubclass(model, ShardedModel) and model.__module__.startswith("apps.")
    }
    assert {label for label, decides in ours.items() if not decides} == LATE_IS_HARMLESS
