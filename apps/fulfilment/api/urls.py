from django.urls import path

from apps.fulfilment.api import replacements, rest

_ORDER = "shopper/orders/<str:store_order_id>"

urlpatterns = [
    path(_ORDER, rest.StoreOrderView.as_view(), name="shopper-order"),
    path(f"{_ORDER}/start-picking", rest.StartPickingView.as_view(), name="shopper-order-start-picking"),
    path(f"{_ORDER}/lines/<str:line_id>", rest.LineView.as_view(), name="shopper-order-line"),
    path(
        f"{_ORDER}/lines/<str:line_id>/suggestions",
        replacements.SuggestionsView.as_view(),
        name="shopper-order-suggestions",
    ),
    path(
        f"{_ORDER}/lines/<str:line_id>/replacement",
        replacements.ReplacementView.as_view(),
        name="shopper-order-replacement",
    ),
    path(f"{_ORDER}/checkout", rest.CheckOutView.as_view(), name="shopper-order-checkout"),
    path(f"{_ORDER}/receipt", rest.ReceiptView.as_view(), name="shopper-order-receipt"),
    path(f"{_ORDER}/bags", rest.BagsView.as_view(), name="shopper-order-bags"),
    path(f"{_ORDER}/start-delivery", rest.StartDeliveryView.as_view(), name="shopper-order-start-delivery"),
    path(f"{_ORDER}/deliver", rest.DeliverView.as_view(), name="shopper-order-deliver"),
]
