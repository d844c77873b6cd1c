"""One shopper, and what he may carry: certificates are entered by whoever saw the paper."""

from datetime import date, timedelta

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from apps.accounts import selectors as accounts
from apps.accounts.api.operators import only_operators
from apps.common import clock
from apps.common.errors import DomainError
from apps.shoppers import selectors, services
from apps.shoppers.errors import NotAShopper


def find(request: HttpRequest) -> HttpResponse:
    """A field for the e-mail address or number; a known shopper's goes straight to the page."""
    only_operators(request)
    text = request.GET.get("who", "").strip()
    refusal = ""
    if text:
        shopper_id = int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None
        shopper_id = shopper_id or accounts.user_id_by_email(email=text)
        if shopper_id is not None and _is_shopper(shopper_id):
            return redirect("backoffice:shopper", shopper_id)
        refusal = f"{text} is no shopper's e-mail address or number."
    context = {**admin.site.each_context(request), "title": "Find a shopper", "text": text, "refusal": refusal}
    return render(request, "backoffice/find_shopper.html", context, status=404 if refusal else 200)


def shopper(request: HttpRequest, shopper_id: int) -> HttpResponse:
    """Who the shopper is, and the certificates; a POST enters one. 2 queries and the viewer's."""
    only_operators(request)
    if not _is_shopper(shopper_id):
        context = {
            **admin.site.each_context(request),
            "title": "Find a shopper",
            "text": shopper_id,
            "refusal": f"Nobody with the number {shopper_id} is a shopper.",
        }
        return render(request, "backoffice/find_shopper.html", context, status=404)
    now = clock.now()
    refusal = ""
    if request.method == "POST":
        try:
            services.certify(
                shopper_id=shopper_id,
                kind="alcohol",
                valid_from=_day(request.POST.get("valid_from", "")),
                valid_until=_day(request.POST.get("valid_until", "")),
                checked_by=int(request.user.pk or 0),
                now=now,
            )
        except (DomainError, ValueError) as error:
            refusal = str(error)
        else:
            messages.success(request, "The certificate is entered. It counts from the next plan on, within seconds.")
            return redirect("backoffice:shopper", shopper_id)
    found = selectors.shopper(shopper_id=shopper_id)
    context = {
        **admin.site.each_context(request),
        "title": found.name,
        "shopper": found,
        "certifications": selectors.certifications(shopper_id=shopper_id),
        "today": now.date(),
        "refusal": refusal,
        "valid_from": request.POST.get("valid_from", now.date().isoformat()),
        "valid_until": request.POST.get("valid_until", (now.date() + timedelta(days=730)).isoformat()),
    }
    return render(request, "backoffice/shopper.html", context, status=422 if refusal else 200)


@require_POST
def withdraw(request: HttpRequest, shopper_id: int, certification_id: int) -> HttpResponse:
    """The certificate counts no more; the shopper finishes what was accepted with it."""
    only_operators(request)
    if services.withdraw_certification(shopper_id=shopper_id, certification_id=certification_id, now=clock.now()):
        messages.success(request, "The certificate is withdrawn. To undo that, enter it again.")
    else:
        messages.info(request, "That certificate was withdrawn before.")
    return redirect("backoffice:shopper", shopper_id)


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ValueError("Enter both days, such as 2026-05-04.") from None


def _is_shopper(shopper_id: int) -> bool:
    try:
        selectors.shopper(shopper_id=shopper_id)
    except NotAShopper:
        return False
    return True
