"""Operators' pages inside the admin, and the pages of a store's staff."""

from django.contrib import admin
from django.urls import path

from apps.backoffice.views import orders, store

app_name = "backoffice"

urlpatterns = [
    path("admin/orders/", admin.site.admin_view(orders.find), name="find_order"),
    path("admin/orders/<int:order_id>/", admin.site.admin_view(orders.order), name="order"),
    path("store/", store.today, name="store"),
]
