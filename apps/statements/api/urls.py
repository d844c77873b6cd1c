from django.urls import path

from apps.statements.api import rest

urlpatterns = [path("shopper/statements", rest.StatementView.as_view(), name="shopper-statement")]
