"""What a customer wants to be told by e-mail; and, in the demo, the letters themselves."""

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from apps.accounts import services as accounts
from apps.accounts.types import Profile
from apps.common.errors import DomainError
from apps.notifications import selectors, services
from apps.web.views.shared import customer_id

LOCALES = {"en-US": "English", "es-US": "Español"}


def choices(profile: Profile) -> dict[str, object]:
    """For the form on the account page. 2 queries."""
    wishes = selectors.preferences(customer_id=profile.customer_id, profile=profile)
    return {
        "locales": LOCALES,
        "letters": [
            {"kind": kind, "name": name, "is_on": kind not in wishes.muted}
            for kind, name in selectors.optional_kinds(language="en").items()
        ],
        "is_reachable": wishes.is_reachable,
    }


@require_POST
@login_required
def choose(request: HttpRequest) -> HttpResponse:
    """Language, and which of the letters that may be switched off are wanted."""
    customer = customer_id(request) or 0
    wanted = request.POST.getlist("kind")
    try:
        accounts.set_locale(customer_id=customer, locale=request.POST.get("locale", ""))
        unwanted = [kind for kind in selectors.optional_kinds(language="en") if kind not in wanted]
        services.set_muted(customer_id=customer, kinds=unwanted)
    except DomainError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, "Saved. The next letter is as you chose.")
    return redirect("web:account")


@require_GET
def outbox(request: HttpRequest) -> HttpResponse:
    _only_in_the_demo()
    return render(request, "web/outbox.html", {"shown": selectors.shown_letters()})


@require_GET
def letter(request: HttpRequest, name: str) -> HttpResponse:
    _only_in_the_demo()
    found = selectors.shown_letter(name=name)
    if found is None:
        raise Http404
    return render(request, "web/letter.html", {"letter": found})


def _only_in_the_demo() -> None:
    if not settings.DEMO:
        raise Http404
