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
    "fulfilment.Receipt",  # the shopper's entry locks the order first, and asks the primary
    "fulfilment.StoreOrder",
    "inventory.FoundStat",
    "orders.OrderEvent",
    "shoppers.Certification",  # claiming and accepting ask again
    "shoppers.Pick",
    "shoppers.Rating",
    "shoppers.Shopper",
    *("notifications.Notification", "notifications.Mute", "notifications.RefusedAddress"),
    "support.IssuePhoto",
    "support.Rating",
}


def test_every_sharded_model_is_on_one_side():
    ours = {
        model._meta.label: model.decides_money_or_stock
        for model in apps.get_models()
        if issubclass(model, ShardedModel) and model.__module__.startswith("apps.")
    }
    assert {label for label, decides in ours.items() if not decides} == LATE_IS_HARMLESS
