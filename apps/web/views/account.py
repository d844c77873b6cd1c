"""Signing up, in and out; addresses and cards."""

from django.conf import settings
from django.contrib import auth, messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render, resolve_url
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from apps.accounts import selectors, services
from apps.accounts.types import AddressInput
from apps.common import clock
from apps.common.errors import DomainError, Invalid, NotFound
from apps.common.geo import Point
from apps.payments import selectors as payments_selectors
from apps.payments import services as payments
from apps.stores import selectors as directory
from apps.web.forms import AddressForm, SignInForm, SignUpForm
from apps.web.views import letters
from apps.web.views.shared import ADDRESS_KEY, absolute, customer_id, next_page


@sensitive_post_parameters("password")
@require_http_methods(["GET", "POST"])
def sign_up(request: HttpRequest) -> HttpResponse:
    form = SignUpForm(request.POST or None, label_suffix="")
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        try:
            services.sign_up(email=given["email"], password=given["password"], name=given["name"], now=clock.now())
        except DomainError as error:
            form.add_error(None, str(error))
        else:
            user = auth.authenticate(request, email=given["email"], password=given["password"])
            auth.login(request, user)
            return redirect(next_page(request, "web:stores"))
    return render(request, "web/sign_up.html", {"form": form, "section": "sign_in", "next": _next(request)})


@sensitive_post_parameters("password")
@require_http_methods(["GET", "POST"])
def sign_in(request: HttpRequest) -> HttpResponse:
    form = SignInForm(request.POST or None, label_suffix="")
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        user = auth.authenticate(request, email=given["email"], password=given["password"])
        if user is not None:
            auth.login(request, user)
            return redirect(next_page(request, "web:stores"))
        form.add_error(None, "That e-mail and password do not belong together.")
    return render(request, "web/sign_in.html", {"form": form, "section": "sign_in", "next": _next(request)})


@require_POST
def sign_out(request: HttpRequest) -> HttpResponse:
    auth.logout(request)
    return redirect("web:stores")


@require_http_methods(["GET", "POST"])
@login_required
def account(request: HttpRequest) -> HttpResponse:
    """Addresses and cards; a POST adds an address."""
    customer = customer_id(request) or 0
    form = AddressForm(request.POST or None, label_suffix="")
    if request.method == "POST" and form.is_valid():
        try:
            address_id = services.add_address(
                customer_id=customer, address=_located(form.cleaned_data), now=clock.now()
            )
        except DomainError as error:
            form.add_error(None, str(error))
        else:
            request.session[ADDRESS_KEY] = address_id
            messages.success(request, "Saved. These are the stores that deliver there.")
            return redirect(next_page(request, "web:stores"))
    profile = selectors.profile(customer_id=customer)
    return render(
        request,
        "web/account.html",
        {
            "section": "account",
            "form": form,
            "next": _next(request),
            "profile": profile,
            "addresses": selectors.addresses(customer_id=customer),
            "cards": payments_selectors.cards(customer_id=customer),
            **letters.choices(profile),
        },
    )


@require_POST
@login_required
def remove_address(request: HttpRequest, address_id: int) -> HttpResponse:
    try:
        services.remove_address(customer_id=customer_id(request) or 0, address_id=address_id)
    except NotFound as missing:
        raise Http404 from missing
    messages.success(request, "The address is gone.")
    return redirect("web:account")


@require_GET
@login_required
def add_card(request: HttpRequest) -> HttpResponse:
    """Off to the payment provider's page, where the card is entered; it never reaches us."""
    back = next_page(request, "web:account")
    done = absolute(resolve_url("web:card_added"), next=back)
    try:
        page = payments.card_page(
            customer_id=customer_id(request) or 0,
            success_url=f"{done}&session={{CHECKOUT_SESSION_ID}}",
            cancel_url=absolute(back),
        )
    except DomainError as error:
        messages.error(request, str(error))
        return redirect(back)
    return redirect(page)


@require_GET
@login_required
def card_added(request: HttpRequest) -> HttpResponse:
    try:
        payments.finish_card_page(
            customer_id=customer_id(request) or 0, session_id=request.GET.get("session", ""), now=clock.now()
        )
    except DomainError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, "Your card is ready.")
    return redirect(next_page(request, "web:account"))


def _located(given: dict[str, str]) -> AddressInput:
    """The typed address with its position, by ZIP code. Raises Invalid for a ZIP code we cannot place."""
    point: Point | None = directory.postcode_point(postcode=given["postcode"])
    if point is None:
        raise Invalid("No store knows this ZIP code yet, so nobody can deliver there.")
    return AddressInput(lat=point.lat, lng=point.lng, **given)


def _next(request: HttpRequest) -> str:
    return next_page(request, settings.LOGIN_REDIRECT_URL) if "next" in {**request.GET, **request.POST} else ""
