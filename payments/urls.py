"""Addresses of money in, relative to /api/v1. The webhook stands with the project's."""

from __future__ import annotations

from django.urls import path

from payments import views

urlpatterns = [
    path("credit-packages", views.PackageList.as_view(), name="credit-packages"),
    path("purchases", views.PurchaseList.as_view(), name="purchases"),
    path(
        "purchases/<uuid:purchase_id>", views.PurchaseDetail.as_view(), name="purchase"
    ),
]
