"""The customer's pages."""

from django.urls import path

from apps.web.views import (
    account,
    after_delivery,
    carts,
    checkout,
    demo,
    letters,
    order_edits,
    orders,
    receipts,
    replacements,
    stores,
    tips,
)

app_name = "web"

urlpatterns = [
    path("", stores.home, name="home"),
    path("sign-up/", account.sign_up, name="sign_up"),
    path("sign-in/", account.sign_in, name="sign_in"),
    path("sign-out/", account.sign_out, name="sign_out"),
    path("account/", account.account, name="account"),
    path("account/letters/", letters.choose, name="choose_letters"),
    path("addresses/<int:address_id>/remove/", account.remove_address, name="remove_address"),
    path("cards/add/", account.add_card, name="add_card"),
    path("cards/done/", account.card_added, name="card_added"),
    path("stores/", stores.stores, name="stores"),
    path("stores/<int:store_id>/", stores.store, name="store"),
    path("stores/<int:store_id>/cart/", carts.cart, name="cart"),
    path("stores/<int:store_id>/cart/lines/", carts.set_line, name="set_line"),
    path("stores/<int:store_id>/checkout/", checkout.checkout, name="checkout"),
    path("stores/<int:store_id>/items/<int:item_id>/", stores.item, name="item"),
    path("stores/<int:store_id>/<slug:department>/", stores.store, name="department"),
    path("orders/", orders.orders, name="orders"),
    path("orders/<int:order_id>/", orders.order, name="order"),
    path("orders/<int:order_id>/receipt/", receipts.receipt, name="receipt"),
    path("orders/<int:order_id>/live/", orders.live, name="order_live"),
    path("orders/<int:order_id>/replacements/<int:replacement_id>/", replacements.answer, name="answer_replacement"),
    path("orders/<int:order_id>/lines/<int:line_id>/instead/", replacements.alternatives, name="alternatives"),
    path("orders/<int:order_id>/lines/<int:line_id>/choose/", replacements.choose, name="choose_instead"),
    path("orders/<int:order_id>/items/", order_edits.items, name="order_items"),
    path("orders/<int:order_id>/edit/", order_edits.edit, name="edit_order"),
    path("orders/<int:order_id>/reschedule/", orders.reschedule, name="reschedule_order"),
    path("orders/<int:order_id>/cancel/", orders.cancel, name="cancel_order"),
    path("orders/<int:order_id>/rate/", after_delivery.rate, name="rate_order"),
    path("orders/<int:order_id>/report/", after_delivery.report, name="report_issue"),
    path("orders/<int:order_id>/reports/<int:issue_id>/withdraw/", after_delivery.withdraw, name="withdraw_issue"),
    path(
        "orders/<int:order_id>/reports/<int:issue_id>/photos/<int:position>/",
        after_delivery.photo,
        name="issue_photo",
    ),
    path("orders/<int:order_id>/tip/", tips.change, name="change_tip"),
    path("demo/", demo.demo, name="demo"),
    path("demo/outbox/", letters.outbox, name="demo_outbox"),
    path("demo/outbox/<slug:name>/", letters.letter, name="demo_letter"),
    path("demo/sign-in/<slug:role>/", demo.sign_in, name="demo_sign_in"),
]
