"""Every address. Those of the API are relative to /api/v1 in their apps."""

from __future__ import annotations

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path

from credits_project import health, views

api: list[URLPattern | URLResolver] = [
    path("me", views.Me.as_view()),
    path("", include("wallets.urls")),
    path("", include("payments.urls")),
    path("", include("courses.urls")),
    path("", include("withdrawals.urls")),
]

urlpatterns = [
    path("", views.home, name="home"),
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("admin/", admin.site.urls),
    path("accounts/", include("allauth.urls")),
    path("_allauth/", include("allauth.headless.urls")),
    path("api/v1/", include(api)),
]
