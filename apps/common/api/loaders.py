"""One loader per request and selector, so that everything one answer needs is asked for together."""

from apps.common.api.graphql import SelectorLoader


def of_request(info, selector):
    """The request's loader of ``selector`` (a module-level function that takes keys and answers by key)."""
    loaders = info.context.__dict__.setdefault("_selector_loaders", {})
    if selector not in loaders:
        loaders[selector] = SelectorLoader(selector)
    return loaders[selector]
