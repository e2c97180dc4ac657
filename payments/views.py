"""Money in, over the API."""

from __future__ import annotations

import uuid
from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from credits_project import idempotency
from credits_project.pagination import ListView
from payments import services
from payments.exceptions import PurchaseNotFound
from payments.models import CreditPackage, CreditPurchase
from payments.serializers import PackageOutput, PurchaseInput, PurchaseOutput


class PackageList(ListView):
    """The packages on sale, in the order that staff gave them."""

    permission_classes = [AllowAny]
    serializer_class = PackageOutput
    ordering = ("position", "id")

    @extend_schema(operation_id="credit_packages", tags=["purchases"])
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """List what can be bought."""
        return super().get(request, *args, **kwargs)

    def get_queryset(self) -> QuerySet[CreditPackage]:
        """Return the packages on sale."""
        return CreditPackage.objects.on_sale()


class PurchaseList(ListView):
    """The caller's purchases, newest first, and starting one."""

    serializer_class = PurchaseOutput
    # For the throttle of what moves money.
    moves_money = True

    @extend_schema(operation_id="purchases", tags=["purchases"])
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """List the caller's purchases."""
        return super().get(request, *args, **kwargs)

    @extend_schema(
        operation_id="start_purchase",
        tags=["purchases"],
        request=PurchaseInput,
        responses={
            201: PurchaseOutput,
            502: OpenApiResponse(description="`gateway-unavailable`: try again later."),
        },
    )
    def post(self, request: Request) -> Response:
        """Order a package; the answer names the page to pay on."""
        body = PurchaseInput(data=request.data)
        body.is_valid(raise_exception=True)
        purchase = services.start_purchase(
            user=request.user,
            package_id=body.validated_data["package"],
            idempotency_key=idempotency.key_of(request),
        )
        return idempotency.answer(purchase, PurchaseOutput(purchase).data)

    def get_queryset(self) -> QuerySet[CreditPurchase]:
        """Return the caller's purchases."""
        if getattr(self, "swagger_fake_view", False):
            return CreditPurchase.objects.none()
        return CreditPurchase.objects.filter(user=self.request.user.pk)


class PurchaseDetail(APIView):
    """One purchase of the caller's."""

    @extend_schema(
        operation_id="purchase", tags=["purchases"], responses=PurchaseOutput
    )
    def get(self, request: Request, purchase_id: uuid.UUID) -> Response:
        """Show the purchase, after asking the gateway about it if it is not paid."""
        mine = CreditPurchase.objects.filter(user=request.user.pk)
        purchase = mine.filter(pk=purchase_id).first()
        if purchase is None:
            raise PurchaseNotFound
        purchase = services.recheck_if_stale(purchase=purchase)
        return Response(PurchaseOutput(purchase).data)
