from __future__ import annotations

import pytest
from django.contrib.auth.models import AnonymousUser, Group, Permission

from credits_project.roles import AUDITORS, ROLES, is_coach
from tests.factories import make_coach, make_user

pytestmark = pytest.mark.django_db


def permissions_of(group: str) -> set[str]:
    rows = Permission.objects.filter(group__name=group)
    return {
        f"{app}.{codename}"
        for app, codename in rows.values_list("content_type__app_label", "codename")
    }


def test_groups_hold_exactly_what_the_table_says():
    groups = Group.objects.values_list("name", flat=True)

    assert {name: permissions_of(name) for name in groups} == {
        name: set(permissions) for name, permissions in ROLES.items()
    }


def test_auditors_see_every_table_of_ours_and_change_nothing():
    ours = {"wallets", "payments", "courses", "withdrawals"}
    views = {
        f"{app}.{codename}"
        for app, codename in Permission.objects.filter(
            content_type__app_label__in=ours, codename__startswith="view_"
        ).values_list("content_type__app_label", "codename")
    }

    assert views <= permissions_of(AUDITORS)
    assert all(".view_" in permission for permission in permissions_of(AUDITORS))


def test_nobody_but_finance_sees_where_money_is_sent_or_decides_about_it():
    guarded = {
        "withdrawals.see_account_number",
        "withdrawals.decide_withdrawal",
        "wallets.adjust_wallet",
        "wallets.transfer_credits",
    }

    assert {name for name in ROLES if permissions_of(name) & guarded} == {"finance"}


def test_a_coach_is_whoever_may_offer_courses():
    coach, learner = make_coach(), make_user()
    gone = make_coach(is_active=False)

    answers = [is_coach(user) for user in (coach, learner, gone, AnonymousUser())]

    assert answers == [True, False, False, False]
