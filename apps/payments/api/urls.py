from django.urls import path

from apps.payments.api import webhooks

urlpatterns = [
    path("webhooks/stripe/", webhooks.stripe, name="stripe-webhook"),
]
