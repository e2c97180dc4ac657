"""The ledger's addresses under `/api/v1/`."""

from __future__ import annotations

from django.urls import path

from wallets import views

urlpatterns = [
    path("wallet/balance", views.BalanceView.as_view()),
    path("wallet/transactions", views.TransactionList.as_view()),
    path("wallet/statement", views.StatementView.as_view()),
    path("transfers", views.TransferList.as_view()),
    path("rpc/transfer_credits", views.RpcTransferCredits.as_view()),
]
