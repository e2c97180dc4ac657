"""Courses in the staff console."""

from __future__ import annotations

from typing import Any, Final

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html

from courses import services
from courses.admin.commissions import CommissionInline
from courses.models import Course
from credits_project.console import ReadOnlyAdmin, ask_for_reason, person

_SCOPES: Final = {
    "course": "the course's own",
    "coach": "its coach's",
    "platform": "the platform's",
    "setting": "COMMISSION_RATE",
}


@admin.register(Course)
class CourseAdmin(ReadOnlyAdmin):
    """Courses: staff archive them and set commissions, coaches do the rest."""

    list_display = (
        "title",
        "coach_email",
        "price",
        "status",
        "created_at",
    )
    list_filter = ("status", "created_at")
    list_select_related = ("coach",)
    search_fields = ("title", "slug", "coach__email", "coach__username", "id")
    search_help_text = "Title, slug, the coach's e-mail or username, or id"
    ordering = ("-id",)
    fields = (
        "id",
        "coach",
        "title",
        "slug",
        "summary",
        "description",
        "price",
        "status",
        "commission",
        "created_at",
        "updated_at",
        "more",
    )
    readonly_fields = fields
    inlines = (CommissionInline,)
    actions = ("archive",)

    @admin.display(description="coach", ordering="coach__email")
    def coach_email(self, course: Course) -> str:
        """Return the coach's address, or the username of who has none."""
        return person(course.coach)

    @admin.display(description="commission now")
    def commission(self, course: Course) -> str:
        """Return the rate of a sale made now, and whose it is."""
        commission = services.commission_of(course, at=timezone.now())
        scope = "setting" if commission.row is None else commission.row.scope
        return f"{commission.rate.normalize():f} ({_SCOPES[scope]})"

    def get_fields(self, request: HttpRequest, obj: Course | None = None) -> Any:
        """Leave out the link for those whom the page behind it refuses."""
        if request.user.has_perm("courses.add_commissionrate"):
            return self.fields
        return [name for name in self.fields if name != "more"]

    @admin.display(description="more")
    def more(self, course: Course) -> str:
        """Return where a commission of the course's own is set."""
        address = reverse("admin:courses_commissionrate_add")
        return format_html(
            '<a href="{}?course={}">Set a commission</a>', address, course.pk
        )

    def has_archive_permission(self, request: HttpRequest) -> bool:
        """Return whether the user may archive courses."""
        return request.user.has_perm("courses.change_course")

    @admin.action(description="Archive: takes no new learners", permissions=["archive"])
    def archive(
        self, request: HttpRequest, queryset: QuerySet[Course]
    ) -> HttpResponse | None:
        """Take courses off the catalogue."""
        reason = ask_for_reason(
            self, request, queryset, action="archive", title="Archive courses"
        )
        if isinstance(reason, HttpResponse):
            return reason
        done = 0
        for pk in queryset.order_by("pk").values_list("pk", flat=True):
            services.archive_course(course_id=pk, actor=request.user, reason=reason)
            done += 1
        self.message_user(request, f"{done} course(s) archived.", messages.SUCCESS)
        return None
