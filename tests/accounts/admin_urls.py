"""The project's routes with the admin's, wherever the project has it."""

from django.contrib import admin
from django.urls import path

from instacart.urls import urlpatterns as project

urlpatterns = [*project, path("admin/", admin.site.urls)]
