"""Accounts in the admin: no password hash is shown, personal data only on a person's own page."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from typing_extensions import override
from unfold.admin import ModelAdmin, TabularInline
from unfold.widgets import UnfoldAdminEmailInputWidget, UnfoldAdminPasswordWidget, UnfoldAdminTextInputWidget

from apps.accounts import models, selectors, services
from apps.accounts.errors import UserNotFound
from apps.common import clock
from apps.common.errors import DomainError

_FOR_SUPERUSERS = ("is_staff", "is_superuser", "groups", "user_permissions")


class NewStaffForm(forms.ModelForm):  # type: ignore[type-arg]
    email = forms.CharField(label="E-mail", widget=UnfoldAdminEmailInputWidget)
    name = forms.CharField(widget=UnfoldAdminTextInputWidget)
    password = forms.CharField(strip=False, widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"}))

    class Meta:
        model = models.User
        fields = ()

    @override
    def clean(self) -> dict[str, Any]:
        typed: dict[str, Any] = super().clean() or {}
        if not self.errors:
            try:
                services.check_sign_up(email=typed["email"], password=typed["password"], name=typed["name"])
            except DomainError as error:
                raise ValidationError(str(error), code=error.code) from error
        return typed


class UserForm(forms.ModelForm):  # type: ignore[type-arg]
    new_password = forms.CharField(
        required=False,
        strip=False,
        help_text="Signs them out everywhere. Empty: stays as it is.",
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"}),
    )

    class Meta:
        model = models.User
        fields = ("is_active", *_FOR_SUPERUSERS)

    def clean_new_password(self) -> str:
        password: str = self.cleaned_data["new_password"]
        if password:
            try:
                services.check_password(password)
            except DomainError as error:
                raise ValidationError(str(error), code=error.code) from error
        return password


class StaffRoleInline(TabularInline):
    model = models.StaffRole
    extra = 0


@admin.register(models.User)
class UserAdmin(ModelAdmin):
    list_display = ("id", "is_active", "is_staff", "is_superuser", "date_joined", "last_login")
    list_filter = ("is_staff", "is_superuser", "is_active")
    search_fields = ("login_hash",)  # makes the search box appear; get_search_results does the searching
    search_help_text = "A whole e-mail address, or an id"
    ordering = ("-id",)
    filter_horizontal = ("groups", "user_permissions")
    fields = ("id", "email", "person", "is_active", *_FOR_SUPERUSERS, "new_password", "date_joined", "last_login")
    readonly_fields = ("id", "email", "person", "date_joined", "last_login")

    @override
    def get_form(self, request: HttpRequest, obj: models.User | None = None, *args: Any, **kwargs: Any) -> Any:
        kwargs["form"] = UserForm if obj else NewStaffForm
        return super().get_form(request, obj, *args, **kwargs)

    @override
    def get_fields(self, request: HttpRequest, obj: models.User | None = None) -> Any:
        if obj is None:
            return ("email", "name", "password")
        return [field for field in self.fields if field != "new_password" or _may_do_everything(request)]

    @override
    def get_readonly_fields(self, request: HttpRequest, obj: models.User | None = None) -> Any:
        if obj is None:
            return ()
        return (*self.readonly_fields, *(() if _may_do_everything(request) else _FOR_SUPERUSERS))

    @override
    def get_inlines(self, request: HttpRequest, obj: models.User | None) -> Any:
        return [StaffRoleInline] if obj and _may_do_everything(request) else []

    @override
    def has_add_permission(self, request: HttpRequest) -> bool:
        return _may_do_everything(request)

    @override
    def has_change_permission(self, request: HttpRequest, obj: models.User | None = None) -> bool:
        if obj and obj.is_superuser and not _may_do_everything(request):
            return False
        return bool(super().has_change_permission(request, obj))

    @override
    def has_delete_permission(self, request: HttpRequest, obj: models.User | None = None) -> bool:
        return False  # orders outlive their customers' names: erasing somebody is more than deleting a row

    @override
    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[models.User], search_term: str
    ) -> tuple[QuerySet[models.User], bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        if term.isascii() and term.isdigit():
            return queryset.filter(pk=int(term)), False
        found = selectors.user_id_by_email(email=term)
        return queryset.filter(pk__in=[] if found is None else [found]), False

    @override
    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        # Not changeform_view: it would hold a transaction open while the profile is written on another database.
        try:
            page: HttpResponse = self._changeform_view(request, None, form_url, extra_context)
            return page
        except DomainError as error:
            self.message_user(request, str(error), messages.ERROR)
            return HttpResponseRedirect(request.path)

    @override
    def save_model(self, request: HttpRequest, obj: models.User, form: Any, change: bool) -> None:
        if change:
            obj.save(update_fields=[name for name in form.changed_data if name.startswith("is_")])
            if form.cleaned_data.get("new_password") and _may_do_everything(request):
                services.change_password(user_id=obj.pk, password=form.cleaned_data["new_password"])
            return
        typed = form.cleaned_data
        obj.pk = services.sign_up(email=typed["email"], password=typed["password"], name=typed["name"], now=clock.now())
        services.make_staff(user_id=obj.pk)
        obj.refresh_from_db()

    @admin.display(description="E-mail")
    def email(self, user: models.User) -> str:
        return _profile_field(user, "email")

    @admin.display(description="Name")
    def person(self, user: models.User) -> str:
        return _profile_field(user, "name")


def _profile_field(user: models.User, field: str) -> str:
    try:
        return str(getattr(selectors.profile(customer_id=user.pk), field))
    except UserNotFound:
        return "-"


def _may_do_everything(request: HttpRequest) -> bool:
    return bool(request.user.is_active and request.user.is_superuser)
