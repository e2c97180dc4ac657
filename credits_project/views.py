"""What no single app owns: who am I, what do I have, and the pages around the API."""

from __future__ import annotations

from typing import Any

from allauth.mfa.utils import is_mfa_enabled
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from credits_project import problem_pages
from credits_project.fields import CreditsField
from credits_project.roles import is_coach
from wallets import services as wallets
from wallets.explain import explain
from wallets.models import CreditWallet
from withdrawals import selectors as withdrawals


class MeOutput(serializers.Serializer[Any]):
    """The caller's account."""

    id = serializers.IntegerField()
    email = serializers.EmailField()
    name = serializers.CharField()
    is_coach = serializers.BooleanField()
    is_staff = serializers.BooleanField()
    mfa_enabled = serializers.BooleanField()


class WalletOutput(serializers.Serializer[Any]):
    """The caller's wallet, in credits."""

    id = serializers.UUIDField()
    balance = CreditsField()
    held = CreditsField()
    available = CreditsField()
    withdrawable = CreditsField()
    in_withdrawal = CreditsField()
    frozen = serializers.BooleanField()
    updated_at = serializers.DateTimeField()


class PartOutput(serializers.Serializer[Any]):
    """A part of a figure. `amount` is below zero where it lessens the figure.

    `kind` is a type of transaction, `hold`, or what stands in the way: `held`,
    `not_available`, `frozen`, `overdrawn`. `count` says how many rows it sums up;
    `releases_on` is the day (UTC) on which a hold ends.
    """

    kind = serializers.CharField()
    amount = CreditsField()
    count = serializers.IntegerField(allow_null=True)
    detail = serializers.CharField(allow_blank=True)
    releases_on = serializers.DateField(allow_null=True)


class FigureOutput(serializers.Serializer[Any]):
    """A figure in credits, and the parts that add up to it."""

    amount = CreditsField()
    parts = PartOutput(many=True)


class ExplanationOutput(serializers.Serializer[Any]):
    """What the figures of the caller's wallet are made of, all of the moment `at`."""

    id = serializers.UUIDField()
    at = serializers.DateTimeField()
    frozen = serializers.BooleanField()
    balance = FigureOutput()
    held = FigureOutput()
    available = FigureOutput()
    withdrawable = FigureOutput()
    in_withdrawal = FigureOutput()


class Me(APIView):
    """Who the caller is."""

    @extend_schema(operation_id="me", responses=MeOutput)
    def get(self, request: Request) -> Response:
        """Return the caller's account."""
        user: Any = request.user
        account = {
            "id": user.pk,
            "email": user.email,
            "name": user.get_full_name(),
            "is_coach": is_coach(user),
            "is_staff": user.is_staff,
            "mfa_enabled": is_mfa_enabled(user),
        }
        return Response(MeOutput(account).data)


class Wallet(APIView):
    """What the caller has."""

    @extend_schema(operation_id="wallet", responses=WalletOutput)
    def get(self, request: Request) -> Response:
        """Return the caller's wallet."""
        user_id: Any = request.user.pk
        wallet = CreditWallet.objects.get(pk=wallets.wallet_id_of(user_id=user_id))
        shown = {
            "id": wallet.pk,
            "balance": wallet.balance,
            "held": wallet.held,
            "available": wallet.available,
            "withdrawable": withdrawals.withdrawable(user_id=user_id),
            "in_withdrawal": withdrawals.in_withdrawal(user_id=user_id),
            "frozen": wallet.frozen_at is not None,
            "updated_at": wallet.updated_at,
        }
        return Response(WalletOutput(shown).data)


class WalletExplain(APIView):
    """Why the caller has what they have."""

    @extend_schema(operation_id="wallet_explain", responses=ExplanationOutput)
    def get(self, request: Request) -> Response:
        """Return what each figure of the caller's wallet is made of."""
        user_id: Any = request.user.pk
        wallet_id = wallets.wallet_id_of(user_id=user_id)
        explanation = explain(wallet_id=wallet_id, user_id=user_id)
        shown = {
            "id": explanation.wallet_id,
            "at": explanation.at,
            "frozen": explanation.is_frozen,
            **explanation.figures,
        }
        return Response(ExplanationOutput(shown).data)


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """Show what this is and where everything else is."""
    return render(request, "home.html")


@require_safe
def problems(request: HttpRequest) -> HttpResponse:
    """Show all kinds of problems."""
    pages = problem_pages.pages().values()
    return render(request, "problems/list.html", {"pages": pages})


@require_safe
def problem(request: HttpRequest, slug: str) -> HttpResponse:
    """Explain one kind of problem."""
    page = problem_pages.pages().get(slug)
    if page is None:
        raise Http404
    return render(request, "problems/page.html", {"page": page})
