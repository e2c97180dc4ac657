"""The ledger's addresses. `/wallet` itself is in `credits_project.views`."""

from __future__ import annotations

import uuid
from typing import Any

from django.conf import settings
from django.db.models import QuerySet
from django.http import HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.permissions import BasePermission, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from credits_project import idempotency, retries
from credits_project.authentication import HasSecondFactor
from credits_project.exceptions import NotFound
from credits_project.filters import read_parameters
from credits_project.ids import new_id
from credits_project.pagination import ListView
from wallets import selectors, services, statement_files
from wallets.models import CreditTransaction, CreditTransfer, CreditWallet
from wallets.periods import month_of
from wallets.serializers import (
    BalanceOutput,
    BalanceParameters,
    RpcTransferInput,
    StatementParameters,
    TransactionFilters,
    TransactionOutput,
    TransferInput,
    TransferOutput,
)
from wallets.services.transfers import ClientScope


class BalanceView(APIView):
    """The caller's balance at a past moment."""

    @extend_schema(
        operation_id="wallet_balance",
        parameters=[BalanceParameters],
        responses=BalanceOutput,
    )
    def get(self, request: Request) -> Response:
        """Return the balance as it was."""
        at = read_parameters(request, BalanceParameters)["at"]
        wallet_id = _wallet_id(request)
        balance = selectors.balance_at(wallet_id=wallet_id, at=at)
        return Response(BalanceOutput({"at": at, "balance": balance}).data)


class TransactionList(ListView):
    """The caller's transactions, newest first."""

    serializer_class = TransactionOutput
    filters = TransactionFilters
    ordering = "-sequence"

    @extend_schema(operation_id="wallet_transactions", parameters=[TransactionFilters])
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Return a page of transactions."""
        return super().get(request, *args, **kwargs)

    def get_queryset(self) -> QuerySet[CreditTransaction]:
        """Return the caller's rows."""
        if getattr(self, "swagger_fake_view", False):
            return CreditTransaction.objects.none()
        return selectors.transactions_of(wallet_id=_wallet_id(self.request))


class StatementView(APIView):
    """The caller's statement as a file."""

    @extend_schema(
        operation_id="wallet_statement",
        parameters=[StatementParameters],
        responses={
            (200, "text/csv"): OpenApiTypes.STR,
            (200, "application/pdf"): OpenApiResponse(OpenApiTypes.BINARY),
        },
    )
    def get(self, request: Request) -> HttpResponseBase:
        """Return opening balance, rows and closing balance; this month unless said."""
        asked = read_parameters(request, StatementParameters)
        first, last = month_of(timezone.now())
        wallet = CreditWallet.objects.get(pk=_wallet_id(request))
        statement = selectors.statement(
            wallet=wallet, start=asked.get("from", first), end=asked.get("to", last)
        )
        name = f"statement-{statement.start:%Y-%m-%d}.{asked['format']}"
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        if asked["format"] == "pdf":
            user: Any = request.user
            content = statement_files.pdf(
                statement, holder=user.get_full_name() or user.email
            )
            return HttpResponse(
                content, headers=headers, content_type="application/pdf"
            )
        return StreamingHttpResponse(
            statement_files.csv_lines(statement),
            headers=headers,
            content_type="text/csv; charset=utf-8",
        )


class TransferList(APIView):
    """Transfers from user to user, where the platform allows them."""

    moves_money = True

    @extend_schema(
        operation_id="transfer_create",
        request=TransferInput,
        responses={201: TransferOutput},
    )
    def post(self, request: Request) -> Response:
        """Send credits to the user who has the e-mail address."""
        if not settings.USER_TRANSFERS_ENABLED:
            raise NotFound("Transfers between users are switched off.")
        key = _key_of(request)
        body = TransferInput(data=request.data)
        body.is_valid(raise_exception=True)
        transfer = retries.run(
            lambda: services.send_credits(
                sender=request.user, idempotency_key=key, **body.validated_data
            ),
            find=lambda: _find("transfers", request, key),
        )
        own = [leg for leg in transfer.legs if leg.amount < 0]
        return _created(transfer, own)


class MayTransferCredits(BasePermission):
    """Holds `wallets.transfer_credits`."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Return whether the caller holds the permission."""
        return bool(request.user and request.user.has_perm("wallets.transfer_credits"))


class RpcTransferCredits(APIView):
    """Transfers between any two users, for staff and services."""

    permission_classes = (IsAuthenticated, MayTransferCredits, HasSecondFactor)
    moves_money = True

    @extend_schema(
        operation_id="rpc_transfer_credits",
        request=RpcTransferInput,
        responses={201: TransferOutput},
    )
    def post(self, request: Request) -> Response:
        """Move credits and return both sides."""
        key = _key_of(request)
        body = RpcTransferInput(data=request.data)
        body.is_valid(raise_exception=True)
        transfer = retries.run(
            lambda: services.transfer_for_client(
                actor=request.user, idempotency_key=key, **body.validated_data
            ),
            find=lambda: _find("rpc", request, key),
        )
        return _created(transfer, transfer.legs, with_key=True)


def _wallet_id(request: Request) -> uuid.UUID:
    user_id = request.user.pk
    assert user_id is not None, "the permission lets signed-in users through only"
    return services.wallet_id_of(user_id=user_id)


def _key_of(request: Request) -> str:
    # Where the client sent none it gets one that nobody else knows: should the
    # connection be lost, what was booked is found by it.
    return idempotency.key_of(request) or str(new_id())


def _find(scope: ClientScope, request: Request, key: str) -> CreditTransfer | None:
    user_id = request.user.pk
    assert user_id is not None, "the permission lets signed-in users through only"
    return services.find_for_client(scope=scope, user_id=user_id, idempotency_key=key)


def _created(
    transfer: CreditTransfer, legs: list[CreditTransaction], *, with_key: bool = False
) -> Response:
    output = TransferOutput(transfer, context={"legs": legs, "with_key": with_key})
    return idempotency.answer(transfer, output.data)
