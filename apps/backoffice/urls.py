"""Operators' pages inside the admin, and the pages of a store's staff."""

from django.contrib import admin
from django.urls import path, re_path

from apps.backoffice.views import (
    endings,
    orders,
    receipts,
    reports,
    shoppers,
    statements,
    store,
    withdrawn,
    zones,
    zones_order,
)

app_name = "backoffice"

urlpatterns = [
    path("admin/orders/", admin.site.admin_view(orders.find), name="find_order"),
    path("admin/orders/<int:order_id>/", admin.site.admin_view(orders.order), name="order"),
    path(
        "admin/orders/<int:order_id>/reschedule/",
        admin.site.admin_view(orders.reschedule),
        name="reschedule_order",
    ),
    path("admin/reports/", admin.site.admin_view(reports.queue), name="reports"),
    path("admin/reports/<int:issue_id>/", admin.site.admin_view(reports.report), name="report"),
    path(
        "admin/reports/<int:issue_id>/photos/<int:position>/",
        admin.site.admin_view(reports.photo),
        name="report_photo",
    ),
    path("admin/receipts/", admin.site.admin_view(receipts.receipts), name="receipts"),
    path("admin/orders/<int:order_id>/receipt/", admin.site.admin_view(receipts.photo), name="receipt_photo"),
    path("admin/orders/<int:order_id>/receipt/seen/", admin.site.admin_view(receipts.seen), name="see_receipt"),
    path("admin/orders/<int:order_id>/cancel/", admin.site.admin_view(endings.cancel), name="cancel_order"),
    path("admin/orders/<int:order_id>/missing/", admin.site.admin_view(endings.missing), name="missing"),
    path("admin/orders/<int:order_id>/returned/", admin.site.admin_view(endings.returned), name="returned"),
    path("admin/withdrawn/", admin.site.admin_view(withdrawn.withdrawn), name="withdrawn"),
    path("admin/zones/", admin.site.admin_view(zones.zones), name="zones"),
    path("admin/zones/<int:zone_id>/", admin.site.admin_view(zones.zone), name="zone"),
    path(
        "admin/zones/<int:zone_id>/orders/<int:store_order_id>/",
        admin.site.admin_view(zones_order.order),
        name="zone_order",
    ),
    path("admin/shoppers/", admin.site.admin_view(shoppers.find), name="find_shopper"),
    path("admin/shoppers/<int:shopper_id>/", admin.site.admin_view(shoppers.shopper), name="shopper"),
    path(
        "admin/shoppers/<int:shopper_id>/certificates/<int:certification_id>/withdraw/",
        admin.site.admin_view(shoppers.withdraw),
        name="withdraw_certificate",
    ),
    path("admin/statements/", admin.site.admin_view(statements.find), name="find_statement"),
    re_path(
        r"^admin/statements/(?P<party_kind>store|shopper)/(?P<party_id>[0-9]{1,18})/$",
        admin.site.admin_view(statements.statement),
        name="statement",
    ),
    re_path(
        r"^admin/statements/(?P<party_kind>store|shopper)/(?P<party_id>[0-9]{1,18})/csv/$",
        admin.site.admin_view(statements.statement_csv),
        name="statement_csv",
    ),
    path("store/", store.today, name="store"),
    path("store/orders/<int:order_id>/cancel/", endings.cancel_by_store, name="cancel_by_store"),
    path("store/<int:store_id>/statement/", statements.of_store, name="store_statement"),
    path("store/<int:store_id>/statement/csv/", statements.of_store_csv, name="store_statement_csv"),
]
