from apps.payments.services.accounts import account_page, open_account, refresh_account
from apps.payments.services.arriving import sweep_payouts
from apps.payments.services.authorising import authorise, charge, prepare, refresh, renew
from apps.payments.services.cards import add_card, card_page, finish_card_page
from apps.payments.services.paying_out import pay_out, sweep_transfers, take_back
from apps.payments.services.reconciling import PATIENCE, Tell, compare_with_provider
from apps.payments.services.refunding import refund
from apps.payments.services.settling import capture, give_up, void
from apps.payments.services.sweeping import sweep
from apps.payments.services.webhooks import handle_event, receive_event

__all__ = [
    "PATIENCE",
    "Tell",
    "account_page",
    "add_card",
    "authorise",
    "capture",
    "card_page",
    "charge",
    "compare_with_provider",
    "finish_card_page",
    "give_up",
    "handle_event",
    "open_account",
    "pay_out",
    "prepare",
    "receive_event",
    "refresh",
    "refresh_account",
    "refund",
    "renew",
    "sweep",
    "sweep_payouts",
    "sweep_transfers",
    "take_back",
    "void",
]
