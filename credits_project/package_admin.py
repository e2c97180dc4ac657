"""The tables of other packages in the console, with no more to do than ours have.

Sessions, second factors and the queue's jobs come with consoles of their own, which
show secrets, change things without asking for a permission, or break the content
security policy.
"""

from __future__ import annotations

from typing import Any

from allauth.account.admin import EmailAddressAdmin
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, User
from django.db.models import QuerySet
from django.http import HttpRequest
from procrastinate.contrib.django.models import ProcrastinateJob

from credits_project.console import ReadOnlyAdmin


class AccountAdmin(UserAdmin):  # type: ignore[type-arg] # not generic at run time
    """Users. Who may not change one sees neither the password's digest nor a button."""

    show_full_result_count = False
    ordering = ("username",)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return the groups of fields, without the password for who only looks."""
        fieldsets = super().get_fieldsets(request, obj)
        if self.has_change_permission(request, obj) or obj is None:
            return fieldsets
        return [
            (
                title,
                {
                    **options,
                    "fields": [f for f in options["fields"] if f != "password"],
                },
            )
            for title, options in fieldsets
        ]


class RoleAdmin(GroupAdmin):
    """Groups, shown without a query for each of their permissions."""

    def get_queryset(self, request: HttpRequest) -> QuerySet[Group]:
        """Return the groups with what their permissions are named by."""
        groups = super().get_queryset(request)
        return groups.prefetch_related("permissions__content_type")


class AddressAdmin(EmailAddressAdmin):  # type: ignore[misc] # allauth has no types
    """E-mail addresses. Only who may change one may call it verified."""

    ordering = ("email", "pk")
    list_select_related = ("user",)
    show_full_result_count = False

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """Return the actions; allauth's own asks for no permission."""
        actions: dict[str, Any] = super().get_actions(request)
        if not self.has_change_permission(request):
            actions.pop("make_verified", None)
        return actions


class AuthenticatorAdmin(ReadOnlyAdmin):
    """Second factors: that there is one, never its secret.

    One that was lost is deleted, which the log keeps; its owner sets up another.
    """

    list_display = ("user", "type", "created_at", "last_used_at")
    list_filter = ("type",)
    list_select_related = ("user",)
    search_fields = ("user__email", "user__username")
    ordering = ("-id",)
    exclude = ("data",)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return whether the user may take a second factor away."""
        return request.user.has_perm("mfa.delete_authenticator")


class SessionAdmin(ReadOnlyAdmin):
    """Who is signed in from where; not the key, which would sign anybody in."""

    list_display = ("user", "created_at", "last_seen_at", "ip", "user_agent")
    list_select_related = ("user",)
    search_fields = ("user__email", "user__username", "ip")
    ordering = ("-id",)
    exclude = ("session_key", "data")


class JobStateFilter(admin.SimpleListFilter):
    """Jobs by their state, an enum of the database that refuses any other word."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(state, state) for state in ("todo", "doing", "failed")]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        if self.value() in dict(self.lookup_choices):
            return queryset.filter(status=self.value())
        return queryset


class JobAdmin(ReadOnlyAdmin):
    """The queue. It only wakes workers: what there is to do stands in our tables."""

    list_display = ("id", "task_name", "queue_name", "status", "attempts")
    list_filter = (JobStateFilter,)
    search_fields = ("task_name",)
    ordering = ("-id",)

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Return that nothing but the filter narrows the list."""
        return False


def replace(site: admin.AdminSite) -> None:
    """Put these consoles in the place of the packages' own."""
    for model, model_admin in {
        Group: RoleAdmin,
        User: AccountAdmin,
        EmailAddress: AddressAdmin,
        Authenticator: AuthenticatorAdmin,
        UserSession: SessionAdmin,
        ProcrastinateJob: JobAdmin,
    }.items():
        site.unregister(model)
        site.register(model, model_admin)
