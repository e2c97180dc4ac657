"""The page on which the payer's browser comes back from the gateway."""

from __future__ import annotations

from typing import Final

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from payments import services
from payments.models import CreditPurchase

_Status = CreditPurchase.Status
# What a waiting page does by itself, so that it works without scripts.
_REFRESH_SECONDS: Final = 6
# The gateway's words for an attempt that did not work; the payer may try again.
_FAILED_WORDS: Final = frozenset({"failed", "cancelled", "reversed"})
_SHOWN: Final = {
    _Status.PAID: "paid",
    _Status.REFUNDED: "refunded",
    _Status.EXPIRED: "expired",
    _Status.REVIEW: "review",
}


# The gateway may send the browser with either method, and has no token of ours.
@csrf_exempt
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def payment_return(request: HttpRequest) -> HttpResponse:
    """Show what became of a payment. What the browser says about it counts nothing.

    Whoever knows the name of a payment learns its status; what it was about is shown to
    its buyer alone.
    """
    tx_ref = request.GET.get("tx_ref") or request.POST.get("tx_ref") or ""
    purchase = _find(tx_ref)
    if purchase is None:
        return render(request, "payments/return.html", {"state": "unknown"}, status=404)
    purchase = services.recheck_if_stale(purchase=purchase)
    state = _state(purchase)
    is_own = request.user.is_authenticated and request.user.pk == purchase.user_id
    context = {
        "state": state,
        "purchase": purchase if is_own else None,
        "again": f"{request.path}?tx_ref={purchase.tx_ref}",
        "refresh_seconds": _REFRESH_SECONDS if state == "waiting" else None,
    }
    return render(request, "payments/return.html", context)


def _find(tx_ref: str) -> CreditPurchase | None:
    if not tx_ref.isascii() or not tx_ref.isprintable() or len(tx_ref) > 100:
        return None
    return CreditPurchase.objects.filter(tx_ref=tx_ref).first()


def _state(purchase: CreditPurchase) -> str:
    shown = _SHOWN.get(_Status(purchase.status))
    if shown is not None:
        return shown
    return "failed" if purchase.gateway_status in _FAILED_WORDS else "waiting"
