"""Addresses of money out, relative to /api/v1."""

from __future__ import annotations

from django.urls import path

from withdrawals import views

urlpatterns = [
    path("payout-destinations", views.PayoutDestinations.as_view()),
    path("payout-methods", views.PayoutMethodList.as_view()),
    path("payout-methods/<uuid:payout_method_id>", views.PayoutMethodDetail.as_view()),
    path("withdrawals/quote", views.WithdrawalQuote.as_view()),
    path("withdrawals", views.WithdrawalList.as_view()),
    path("withdrawals/<uuid:withdrawal_id>", views.WithdrawalDetail.as_view()),
    path("withdrawals/<uuid:withdrawal_id>/cancel", views.WithdrawalCancel.as_view()),
]
