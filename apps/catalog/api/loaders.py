from collections import defaultdict

from apps.catalog import selectors
from apps.common.api import loaders


def departments(info):
    """Of a store id."""
    return loaders.of_request(info, _departments)


def pages(info):
    """Of ``(store id, department, text, after, first)``."""
    return loaders.of_request(info, _pages)


def _departments(store_ids):
    return selectors.departments_of(store_ids=store_ids)


def _pages(keys):
    found = {}
    same = defaultdict(list)
    for key in keys:
        store_id, department, text, after, first = key
        if after is None:
            same[department, text, first].append(store_id)
        else:  # a cursor belongs to one store's list
            found[key] = selectors.items(store_id=store_id, department=department, text=text, after=after, limit=first)
    for (department, text, first), store_ids in same.items():
        pages = selectors.first_pages(store_ids=store_ids, department=department, text=text, limit=first)
        found |= {(store_id, department, text, None, first): page for store_id, page in pages.items()}
    return found
