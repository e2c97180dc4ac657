"""Every address. Those of the API are relative to /api/v1 in their apps."""

from __future__ import annotations

from allauth.account.decorators import secure_admin_login
from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path
from django.views.generic import RedirectView

from credits_project import documentation, health, metrics, package_admin, views
from payments.pages import payment_return
from payments.webhooks import paychangu_webhook

# Staff sign in where everybody does, so that second factors and limits hold for them.
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]
admin.site.site_header = admin.site.site_title = "Course Credits"
admin.site.index_title = "Staff console"
package_admin.replace(admin.site)

api: list[URLPattern | URLResolver] = [
    path("me", views.Me.as_view()),
    path("wallet", views.Wallet.as_view()),
    path("wallet/explain", views.WalletExplain.as_view()),
    path("", include("wallets.urls")),
    path("", include("payments.urls")),
    path("", include("courses.urls")),
    path("", include("withdrawals.urls")),
    # Gateways are told one form and some call the other; a redirect loses the body.
    path("webhooks/paychangu", paychangu_webhook, name="paychangu_webhook"),
    path("webhooks/paychangu/", paychangu_webhook),
    path("openapi.json", documentation.OpenApiDocument.as_view(), name="schema"),
    path("docs", documentation.Documentation.as_view(), name="docs"),
]

urlpatterns = [
    path("", views.home, name="home"),
    path("api/v1/", include(api)),
    path("docs", RedirectView.as_view(pattern_name="docs")),
    path("problems", views.problems, name="problems"),
    path("problems/<slug:slug>", views.problem, name="problem"),
    path("payments/return", payment_return, name="payment_return"),
    path("accounts/", include("allauth.urls")),
    path("_allauth/openapi.json", documentation.allauth_document),
    # Made anew for each request, in a second of work.
    path("_allauth/openapi.yaml", RedirectView.as_view(url="/_allauth/openapi.json")),
    path("_allauth/", include("allauth.headless.urls")),
    path("admin/", admin.site.urls),
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("metrics", metrics.metrics, name="metrics"),
]

handler400 = "credits_project.problems.bad_request"
handler403 = "credits_project.problems.forbidden"
handler404 = "credits_project.problems.not_found"
handler500 = "credits_project.problems.server_error"
