"""Commands on a store's items."""

from apps.catalog.services.feeds import MAX_KEPT_ERRORS, feed_items, import_items, put_item

__all__ = ["MAX_KEPT_ERRORS", "feed_items", "import_items", "put_item"]
