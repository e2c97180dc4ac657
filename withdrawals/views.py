"""The addresses of money out."""

from __future__ import annotations

import uuid
from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from credits_project import idempotency, reauthentication, retries
from credits_project.exceptions import NotFound
from credits_project.filters import read_parameters
from credits_project.ids import new_id
from credits_project.pagination import ListView
from withdrawals import destinations, selectors, services
from withdrawals.models import MethodKind, PayoutMethod, WithdrawalRequest
from withdrawals.serializers import (
    DestinationsOutput,
    PayoutMethodInput,
    PayoutMethodOutput,
    WithdrawalInput,
    WithdrawalOutput,
    WithdrawalQuoteOutput,
    WithdrawalQuoteParameters,
)

_UNAVAILABLE = OpenApiResponse(description="`gateway-unavailable`: try again later.")


class PayoutDestinations(APIView):
    """The operators and banks that money can be sent to."""

    @extend_schema(
        operation_id="payout_destinations",
        responses={200: DestinationsOutput, 502: _UNAVAILABLE},
    )
    def get(self, request: Request) -> Response:
        """Return operators and banks by kind."""
        found = destinations.all_destinations()
        by_kind = {
            kind: [item for item in found if item.kind.value == kind]
            for kind in MethodKind.values
        }
        return Response(DestinationsOutput(by_kind).data)


class PayoutMethodList(ListView):
    """The caller's payout methods, newest first."""

    serializer_class = PayoutMethodOutput

    @extend_schema(operation_id="payout_methods")
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Return a page of payout methods."""
        return super().get(request, *args, **kwargs)

    @extend_schema(
        operation_id="add_payout_method",
        request=PayoutMethodInput,
        responses={201: PayoutMethodOutput, 502: _UNAVAILABLE},
    )
    def post(self, request: Request) -> Response:
        """Add a payout method; it is usable after the cooling-off."""
        reauthentication.check(request)
        body = PayoutMethodInput(data=request.data)
        body.is_valid(raise_exception=True)
        method = services.add_payout_method(user=request.user, **body.validated_data)
        return Response(PayoutMethodOutput(method).data, status.HTTP_201_CREATED)

    def get_queryset(self) -> QuerySet[PayoutMethod]:
        """Return the caller's rows."""
        if getattr(self, "swagger_fake_view", False):
            return PayoutMethod.objects.none()
        return selectors.payout_methods_of(user=self.request.user)


class PayoutMethodDetail(APIView):
    """One of the caller's payout methods."""

    @extend_schema(
        operation_id="remove_payout_method",
        responses={204: OpenApiResponse(description="It is removed.")},
    )
    def delete(self, request: Request, payout_method_id: uuid.UUID) -> Response:
        """Remove the payout method."""
        services.remove_payout_method(
            user=request.user, payout_method_id=payout_method_id
        )
        return Response(status=status.HTTP_204_NO_CONTENT)


class WithdrawalQuote(APIView):
    """What withdrawing would pay now."""

    @extend_schema(
        operation_id="withdrawal_quote",
        parameters=[WithdrawalQuoteParameters],
        responses=WithdrawalQuoteOutput,
    )
    def get(self, request: Request) -> Response:
        """Return the terms and limits of a withdrawal, as a request would have them."""
        credits = read_parameters(request, WithdrawalQuoteParameters)["credits"]
        quote = services.quote(user=request.user, credits=credits)
        return Response(WithdrawalQuoteOutput(quote).data)


class WithdrawalList(ListView):
    """The caller's withdrawals, newest first."""

    serializer_class = WithdrawalOutput
    moves_money = True

    @extend_schema(operation_id="withdrawals")
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Return a page of withdrawals."""
        return super().get(request, *args, **kwargs)

    @extend_schema(
        operation_id="request_withdrawal",
        request=WithdrawalInput,
        responses={201: WithdrawalOutput},
    )
    def post(self, request: Request) -> Response:
        """Take the credits out of the wallet, to be paid out."""
        key = _key_of(request)
        body = WithdrawalInput(data=request.data)
        body.is_valid(raise_exception=True)
        withdrawal = retries.run(
            lambda: services.request_withdrawal(
                user=request.user,
                credits=body.validated_data["credits"],
                payout_method_id=body.validated_data["payout_method"],
                idempotency_key=key,
            ),
            find=lambda: _own(request).filter(idempotency_key=key).first(),
        )
        return idempotency.answer(withdrawal, _shown(request, withdrawal.pk))

    def get_queryset(self) -> QuerySet[WithdrawalRequest]:
        """Return the caller's rows."""
        if getattr(self, "swagger_fake_view", False):
            return WithdrawalRequest.objects.none()
        return selectors.withdrawals_of(user=self.request.user)


class WithdrawalDetail(APIView):
    """One of the caller's withdrawals."""

    @extend_schema(operation_id="withdrawal", responses=WithdrawalOutput)
    def get(self, request: Request, withdrawal_id: uuid.UUID) -> Response:
        """Return the withdrawal as it is now."""
        return Response(_shown(request, withdrawal_id))


class WithdrawalCancel(APIView):
    """Cancels one of the caller's withdrawals."""

    moves_money = True

    @extend_schema(
        operation_id="cancel_withdrawal", request=None, responses=WithdrawalOutput
    )
    def post(self, request: Request, withdrawal_id: uuid.UUID) -> Response:
        """Cancel a withdrawal that nobody has decided on; the credits come back."""
        key = _key_of(request)
        if not _own(request).filter(pk=withdrawal_id).exists():
            raise _missing()
        withdrawal = retries.run(
            lambda: services.cancel_withdrawal(
                withdrawal_id=withdrawal_id, actor=request.user, idempotency_key=key
            ),
            find=lambda: _own(request).filter(pk=withdrawal_id, cancel_key=key).first(),
        )
        return idempotency.answer(
            withdrawal, _shown(request, withdrawal_id), status=status.HTTP_200_OK
        )


def _key_of(request: Request) -> str:
    # Where the client sent none it gets one that nobody else knows: should the
    # connection be lost, what was done is found by it.
    return idempotency.key_of(request) or str(new_id())


def _own(request: Request) -> QuerySet[WithdrawalRequest]:
    return selectors.withdrawals_of(user=request.user)


def _shown(request: Request, withdrawal_id: uuid.UUID) -> Any:
    withdrawal = _own(request).filter(pk=withdrawal_id).first()
    if withdrawal is None:
        raise _missing()
    return WithdrawalOutput(withdrawal).data


def _missing() -> NotFound:
    return NotFound("You have no such withdrawal.")
