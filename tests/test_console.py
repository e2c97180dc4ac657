"""The staff console as a whole: every table in it, for everybody who may look."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.contrib import admin
from django.contrib.auth.models import User
from django.core.cache import cache
from django.db import connection
from django.db.models import Model
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from courses.models import Course
from courses.services import refund_enrollment
from credits_project import urls
from payments.services import refund_purchase
from tests.factories import make_staff, make_user
from tests.payments import buying
from tests.simulator_process import SimulatorProcess, start_simulator
from tests.withdrawals import people
from wallets.selectors import family_balances
from wallets.services import freeze_wallet
from withdrawals.models import Payout, PayoutAttempt
from withdrawals.services import approve_withdrawal

GROUPS = ("support", "finance", "auditors", "superuser")
# Complete once the addresses are known, which put consoles of packages aside.
assert urls.urlpatterns
ADMINS = dict(admin.site._registry)
LABELS = [model._meta.label_lower for model in ADMINS]

# Whatever staff add, change or delete here goes round no service: what is sold, what
# payouts are worth, courses' commissions, and accounts; or, of adjustments, asks for
# them.
MAY_ADD = {
    "payments.creditpackage",
    "withdrawals.payoutrate",
    "courses.commissionrate",
    "wallets.creditadjustment",
    "auth.user",
    "auth.group",
    "account.emailaddress",
}
MAY_CHANGE = MAY_ADD - {
    "withdrawals.payoutrate",
    "courses.commissionrate",
    "wallets.creditadjustment",
}
MAY_DELETE = {"auth.user", "auth.group", "account.emailaddress", "mfa.authenticator"}

# Some tables have dozens of filters, so each word is odd in several ways.
ODD_WORDS = ("not-a-uuid %00 '\"><b>\\_%", "9" * 40, "\x00", "-١🦊", "a" * 5000)


def staff_of(group: str) -> User:
    if group == "superuser":
        return make_user("admin", is_staff=True, is_superuser=True)
    return make_staff(group)


def client_of(group: str) -> Client:
    client = Client()
    client.force_login(
        staff_of(group), backend="django.contrib.auth.backends.ModelBackend"
    )
    return client


def list_of(model: type[Model]) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")


@pytest.fixture(scope="module")
def gateway() -> Iterator[SimulatorProcess]:
    with start_simulator(settle_seconds=3600) as running:
        yield running


@pytest.fixture
def marketplace(db: None, gateway: SimulatorProcess, settings: Any) -> Any:
    """Returns what puts another row into every table that can be filled."""
    gateway.control.reset()
    settings.PAYCHANGU_BASE_URL = gateway.base_url
    settings.PAYOUT_COOLING_OFF_HOURS = 0
    settings.REFUND_WINDOW_DAYS = 7
    cache.clear()
    finance = make_staff("finance")

    def fill() -> None:
        coach = people.make_earning_coach("0.00")
        settings.REFUND_WINDOW_DAYS = 0
        people.earn(coach, "100.00")
        settings.REFUND_WINDOW_DAYS = 7
        people.earn(coach, "30.00")
        enrollment = Course.objects.filter(coach=coach).latest("id").enrollments.get()
        refund_enrollment(
            enrollment_id=enrollment.pk,
            actor=finance,
            reason="half",
            amount=Decimal("15.00"),
        )
        method = people.add_method(coach)
        people.request(coach, "10.00", method)
        approved = people.request(coach, "20.00", method)
        approve_withdrawal(withdrawal_id=approved.pk, actor=finance)
        PayoutAttempt.objects.create(
            payout=Payout.objects.get(withdrawal=approved), kind="send"
        )
        purchase = buying.buy(gateway)
        refund_purchase(purchase_id=purchase.pk, actor=finance, reason="asked for")
        buying.deliver(Client(), buying.encode(buying.event_about(purchase)))
        freeze_wallet(wallet_id=coach.wallet.pk, actor=finance, reason="a look")
        Authenticator.objects.create(user=coach, type="totp", data={"secret": "S3CRET"})
        UserSession.objects.create(
            user=coach, ip="127.0.0.1", session_key=f"K3Y-{coach.pk}"
        )

    return fill


@pytest.fixture
def asking() -> Any:
    """A request of a superuser, whom permissions do not stop."""
    request = RequestFactory().get("/admin/")
    request.user = User(username="root", is_superuser=True, is_staff=True)
    return request


@pytest.mark.parametrize("label", LABELS)
def test_a_table_can_be_edited_only_where_it_is_meant_to(label: str, asking: Any):
    model_admin = next(a for m, a in ADMINS.items() if m._meta.label_lower == label)

    assert model_admin.has_add_permission(asking) == (label in MAY_ADD)
    assert model_admin.has_change_permission(asking) == (label in MAY_CHANGE)
    assert model_admin.has_delete_permission(asking) == (label in MAY_DELETE)


@pytest.mark.parametrize("label", LABELS)
def test_no_rows_are_edited_inside_of_a_list_or_another_row(label: str, asking: Any):
    model_admin = next(a for m, a in ADMINS.items() if m._meta.label_lower == label)

    assert not model_admin.list_editable
    for inline in model_admin.get_inline_instances(asking):
        assert not inline.has_add_permission(asking, None), inline
        assert not inline.has_change_permission(asking, None), inline
        assert not (inline.can_delete and inline.has_delete_permission(asking)), inline


def test_every_table_of_ours_is_in_the_console():
    from django.apps import apps

    shown = {*LABELS}
    for model_admin in ADMINS.values():
        shown |= {inline.model._meta.label_lower for inline in model_admin.inlines}
    ours = {
        model._meta.label_lower
        for app in ("wallets", "payments", "courses", "withdrawals")
        for model in apps.get_app_config(app).get_models()
    }

    assert ours <= shown


@pytest.mark.django_db
def test_every_action_of_who_may_only_look_is_gone(rf: Any):
    for group in ("auditors", "support"):
        request = rf.get("/admin/")
        request.user = staff_of(group)
        offered = {
            (model._meta.label_lower, action)
            for model, model_admin in ADMINS.items()
            if model_admin.has_view_permission(request)
            for action in model_admin.get_actions(request)
        }
        expected = (
            set()
            if group == "auditors"
            else {
                ("wallets.creditwallet", "freeze"),
                ("wallets.creditwallet", "unfreeze"),
                ("payments.creditpurchase", "recheck"),
                ("payments.creditpurchase", "refund"),
                ("payments.gatewaydifference", "recheck"),
                ("payments.reviewcase", "recheck"),
                ("payments.reviewcase", "credit"),
                ("payments.reviewcase", "refund"),
                ("payments.reviewcase", "dismiss"),
                ("payments.gatewayevent", "process_again"),
                ("courses.enrollment", "refund"),
            }
        )

        assert offered == expected


@pytest.mark.django_db
def test_an_auditor_who_sends_an_action_all_the_same_changes_nothing():
    from allauth.account.models import EmailAddress

    user = make_user("learner", balance="5.00")
    address = EmailAddress.objects.create(user=user, email=user.email, verified=False)
    client = client_of("auditors")

    for action, row in (("freeze", user.wallet), ("make_verified", address)):
        client.post(
            list_of(type(row)),
            {
                "action": action,
                "_selected_action": [str(row.pk)],
                "confirmed": "yes",
                "reason": "because",
            },
        )

    address.refresh_from_db()
    user.wallet.refresh_from_db()
    assert (address.verified, user.wallet.frozen_at) == (False, None)


def visit(client: Client, model: type[Model]) -> tuple[dict[str, int], list[int]]:
    """Open the list and a row; return the queries that each took, and the statuses."""
    counts, statuses = {}, []
    addresses = {"list": list_of(model)}
    if row := model._default_manager.order_by("pk").last():
        addresses["row"] = f"{addresses['list']}{row.pk}/change/"
        addresses["history"] = f"{addresses['list']}{row.pk}/history/"
    for name, address in addresses.items():
        with CaptureQueriesContext(
            connection,
        ) as queries:
            statuses.append(client.get(address).status_code)
        counts[f"{model._meta.label_lower} {name}"] = len(queries)
    return counts, statuses


@pytest.mark.parametrize("group", GROUPS)
def test_every_page_opens_with_as_many_queries_for_few_rows_as_for_more(
    group: str, marketplace: Any
):
    client = client_of(group)
    allowed = [
        model
        for model, model_admin in ADMINS.items()
        if client.get(list_of(model)).status_code == 200
    ]
    assert len(allowed) >= len(ADMINS) - 3
    marketplace()
    before: dict[str, int] = {}
    for model in allowed:
        counts, statuses = visit(client, model)
        before |= counts
        assert set(statuses) == {200}, (model, statuses)

    for _ in range(3):
        marketplace()
    after: dict[str, int] = {}
    for model in allowed:
        after |= visit(client, model)[0]

    assert {k: (before[k], n) for k, n in after.items() if n > before.get(k, n)} == {}
    assert max(after.values()) <= 30, after


@pytest.mark.parametrize("group", GROUPS)
def test_the_first_page_says_what_waits_and_where_all_credits_are(
    group: str, marketplace: Any, django_assert_max_num_queries: Any
):
    marketplace()
    client = client_of(group)
    client.get("/admin/")

    with django_assert_max_num_queries(17):
        page = client.get("/admin/")

    text = page.content.decode()
    assert "Withdrawals to decide" in text
    assert "Test mode" in text
    for family, balance in family_balances().items():
        assert f'family={family}">{family}</a>' in text
        assert f">{balance:,}</td>" in text


@pytest.mark.django_db
def test_who_may_see_nothing_is_told_nothing_on_the_first_page():
    client = Client()
    client.force_login(make_user("nobody", is_staff=True))

    text = client.get("/admin/").content.decode()

    assert "Waiting for staff" not in text
    assert "Where the credits are" not in text


def test_a_family_is_listed_with_all_of_its_parts(db: None):
    page = client_of("auditors").get("/admin/wallets/creditwallet/?family=issued")

    codes = [wallet.code for wallet in page.context["cl"].result_list]
    assert sorted(codes) == sorted(f"issued:{part}" for part in range(16))


def test_secrets_of_sessions_and_second_factors_are_on_no_page(marketplace: Any):
    marketplace()
    client = client_of("superuser")

    for model in (Authenticator, UserSession):
        row = model.objects.latest("pk")
        for address in (list_of(model), f"{list_of(model)}{row.pk}/change/"):
            text = client.get(address).content.decode()
            assert "S3CRET" not in text
            assert "K3Y-" not in text


@pytest.mark.django_db
def test_odd_words_are_searched_for_without_an_error():
    client = client_of("superuser")

    for model in ADMINS:
        for word in ODD_WORDS:
            answer = client.get(list_of(model), {"q": word})
            assert answer.status_code in (200, 302, 400, 403), (model, word)


def filters_of(model_admin: Any) -> Iterator[str]:
    yield from ("id__exact", "pk__in", "o", "p", "nonsense")
    for entry in model_admin.list_filter:
        name = entry[0] if isinstance(entry, tuple) else entry
        if isinstance(name, str):
            yield from (f"{name}__exact", f"{name}__in", f"{name}__gte")
            yield f"{name}__isempty"
        else:
            yield name.parameter_name
    for field in model_admin.model._meta.fields:
        if field.is_relation:
            yield f"{field.name}__exact"


@pytest.mark.django_db
def test_odd_values_of_filters_are_answered_without_an_error():
    client = client_of("superuser")

    for model, model_admin in ADMINS.items():
        for name in filters_of(model_admin):
            for word in ODD_WORDS:
                answer = client.get(list_of(model), {name: word})
                assert answer.status_code in (200, 302, 400), (model, name, word)


@pytest.mark.django_db
def test_odd_ids_of_rows_are_answered_without_an_error():
    client = client_of("superuser")

    for model in ADMINS:
        for word in (
            "nonsense",
            "%00",
            "_00",
            "-1",
            "9" * 30,
            "%F0%9F%A6%8A",
            "a" * 500,
        ):
            for page in ("change", "history", "delete"):
                answer = client.get(f"{list_of(model)}{word}/{page}/")
                assert answer.status_code in (302, 400, 403, 404), (model, word, page)
