"""Lists in the staff console: given in as CSV, carried out, reported on."""

from __future__ import annotations

import uuid
from typing import Any, Final

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html

from courses import services
from courses.bulk_files import LARGEST_BYTES, read_list, report_lines
from courses.models import BulkRow, BulkRun, Course
from courses.people import named
from courses.services import ListRefused
from courses.services.bulk_rules import MAY
from credits_project.console import ReadOnlyAdmin
from credits_project.exceptions import DomainError

# Somebody waits for the page; what is left is gone on with by an action.
_PATIENCE_SECONDS: Final = 15.0
_SHOWN: Final = 50


class ListForm(forms.Form):
    """A list as a file, and how it is to be carried out."""

    file = forms.FileField(help_text="CSV in UTF-8. First line: person,amount")
    reason = forms.CharField(
        max_length=500, help_text="What it is for; the people see it on their wallets."
    )
    name = forms.CharField(
        max_length=100,
        required=False,
        help_text="Names the list for ever; made from its content where empty. The same"
        " list again goes on where it ended; to do it again, give it another name.",
    )
    all_or_nothing = forms.BooleanField(
        required=False,
        label="All lines or none",
        help_text="Otherwise each line by itself, and a report on those refused.",
    )

    def clean_file(self) -> Any:
        """Refuse a file that is too large before it is read."""
        file = self.cleaned_data["file"]
        if file.size > LARGEST_BYTES:
            raise forms.ValidationError("The file is too large.")
        return file

    def about(self) -> dict[str, Any]:
        """Return what the list is about beside its lines."""
        return {}


class EnrollListForm(ListForm):
    """A list of people to be enrolled at a sponsor's cost."""

    course = forms.CharField(max_length=220, help_text="Its slug or id")
    sponsor = forms.CharField(
        max_length=254, help_text="Who pays: e-mail address, username or id"
    )
    field_order = ("file", "course", "sponsor", "reason", "name", "all_or_nothing")

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["file"].help_text = "CSV in UTF-8. First line: person"
        self.fields["reason"].help_text = "Why somebody else pays; for the record."

    def clean_course(self) -> Course:
        """Return the course that is named."""
        course = Course.objects.named(self.cleaned_data["course"].strip()).first()
        if course is None:
            raise forms.ValidationError("There is no such course.")
        return course

    def clean_sponsor(self) -> int:
        """Return the id of the user who is named."""
        name = self.cleaned_data["sponsor"].strip()
        found = named([name])[name.lower()]
        if len(found) != 1:
            told = "more than one user" if found else "no user"
            raise forms.ValidationError(f"This names {told}.")
        return found[0]

    def about(self) -> dict[str, Any]:
        """Return where to, and who pays."""
        return {
            "course_id": self.cleaned_data["course"].pk,
            "sponsor_id": self.cleaned_data["sponsor"],
        }


_FORMS: Final[dict[str, type[ListForm]]] = {
    BulkRun.Kind.ENROLL: EnrollListForm,
    BulkRun.Kind.BONUS: ListForm,
}
_TITLES: Final = {
    BulkRun.Kind.ENROLL: "Enroll a list of people",
    BulkRun.Kind.BONUS: "Give a list of people a bonus",
}


@admin.register(BulkRun)
class BulkRunAdmin(ReadOnlyAdmin):
    """Lists that staff gave in; new ones are given in at pages of their own."""

    change_list_template = "admin/courses/lists.html"
    list_display = (
        "name",
        "kind",
        "lines",
        "done",
        "refused",
        "created_by",
        "created_at",
        "finished_at",
    )
    list_filter = (
        "kind",
        "needs_second",
        ("agreed_by", admin.EmptyFieldListFilter),
        ("finished_at", admin.EmptyFieldListFilter),
    )
    list_select_related = ("created_by",)
    search_fields = ("name", "id")
    search_help_text = "Name or id of the list"
    ordering = ("-id",)
    fields = (
        "id",
        "name",
        "kind",
        "all_or_nothing",
        "course",
        "sponsor",
        "reason",
        "created_by",
        "created_at",
        "needs_second",
        "agreed_by",
        "finished_at",
        "report",
    )
    readonly_fields = fields
    actions = ("agree", "go_on")

    def get_queryset(self, request: HttpRequest) -> QuerySet[BulkRun]:
        """Return the lists with how many lines came to what."""
        runs: QuerySet[BulkRun] = super().get_queryset(request)
        return runs.annotate(
            counted=Count("rows"),
            counted_done=Count("rows", filter=Q(rows__status="done")),
            counted_refused=Count("rows", filter=Q(rows__status="refused")),
        )

    @admin.display(description="lines")
    def lines(self, run: Any) -> int:
        """Return how many lines the list has."""
        return int(run.counted)

    @admin.display(description="done")
    def done(self, run: Any) -> int:
        """Return how many lines are done."""
        return int(run.counted_done)

    @admin.display(description="refused")
    def refused(self, run: Any) -> int:
        """Return how many lines were refused."""
        return int(run.counted_refused)

    @admin.display(description="lines")
    def report(self, run: Any) -> str:
        """Return what came of the lines, with where to see each."""
        rows = reverse("admin:courses_bulkrow_changelist")
        report = reverse("admin:courses_bulkrun_report", args=[run.pk])
        return format_html(
            "{} of {} done, {} refused:"
            ' <a href="{}?run__id__exact={}">all lines</a>,'
            ' <a href="{}">report as CSV</a>',
            run.counted_done,
            run.counted,
            run.counted_refused,
            rows,
            run.pk,
            report,
        )

    def get_urls(self) -> list[URLPattern]:
        """Return Django's addresses and those of the pages here."""
        view = self.admin_site.admin_view
        own = [
            path(
                f"{kind}/",
                view(self.give_in),
                {"kind": kind},
                name=f"courses_bulkrun_{kind}",
            )
            for kind in _FORMS
        ]
        own.append(
            path(
                "<uuid:run_id>/report/",
                view(self.report_file),
                name="courses_bulkrun_report",
            )
        )
        return own + super().get_urls()

    def has_go_on_permission(self, request: HttpRequest) -> bool:
        """Return whether the user may carry out lists of one kind at least."""
        return any(request.user.has_perm(permission) for permission in MAY.values())

    def changelist_view(
        self, request: HttpRequest, extra_context: Any = None
    ) -> HttpResponse:
        """Return the lists, with the pages that the user may give new ones in at."""
        offered = [
            (reverse(f"admin:courses_bulkrun_{kind}"), title)
            for kind, title in _TITLES.items()
            if request.user.has_perm(MAY[kind])
        ]
        return super().changelist_view(
            request, {**(extra_context or {}), "offered": offered}
        )

    def give_in(self, request: HttpRequest, kind: str) -> HttpResponse:
        """Show the page that takes a list; carry out the one that it sent."""
        if not request.user.has_perm(MAY[BulkRun.Kind(kind)]):
            raise PermissionDenied
        is_sent = request.method == "POST"
        form = _FORMS[kind](
            request.POST if is_sent else None, request.FILES if is_sent else None
        )
        refused: dict[int, str] = {}
        if is_sent and form.is_valid():
            try:
                return self._carry_out(request, kind, form)
            except ListRefused as refusal:
                refused = refusal.lines
                form.add_error("file", str(refusal))
            except DomainError as error:
                form.add_error(None, str(error))
        context = {
            **self.admin_site.each_context(request),
            "title": _TITLES[BulkRun.Kind(kind)],
            "opts": self.model._meta,
            "form": form,
            "refused": sorted(refused.items())[:_SHOWN],
        }
        return TemplateResponse(request, "admin/courses/give_list.html", context)

    def report_file(self, request: HttpRequest, run_id: uuid.UUID) -> Any:
        """Return what came of each line as CSV."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        run = get_object_or_404(BulkRun, pk=run_id)
        name = f'attachment; filename="list-{run.pk}.csv"'
        return StreamingHttpResponse(
            report_lines(run),
            headers={"Content-Disposition": name},
            content_type="text/csv; charset=utf-8",
        )

    @admin.action(
        description="Go on: carry out the lines that are left", permissions=["go_on"]
    )
    def go_on(self, request: HttpRequest, queryset: QuerySet[BulkRun]) -> None:
        """Carry out what is left of lists."""
        for run in queryset.order_by("pk"):
            self._go_on(request, run)

    @admin.action(
        description="Agree as the second person, and carry out", permissions=["go_on"]
    )
    def agree(self, request: HttpRequest, queryset: QuerySet[BulkRun]) -> None:
        """Agree to lists that give much, and carry them out."""
        for run in queryset.order_by("pk"):
            try:
                services.agree_to_list(run_id=run.pk, actor=request.user)
            except DomainError as error:
                self.message_user(request, f"{run.name}: {error}", messages.ERROR)
            else:
                self._go_on(request, run)

    def _carry_out(
        self, request: HttpRequest, kind: str, form: ListForm
    ) -> HttpResponse:
        given = form.cleaned_data
        run = services.give_in_list(
            kind=kind,
            lines=read_list(given["file"].read(), kind=kind),
            reason=given["reason"],
            name=given["name"],
            all_or_nothing=given["all_or_nothing"],
            actor=request.user,
            **form.about(),
        )
        if run.is_replay:
            told = "This list was given in before; it goes on where it ended."
            self.message_user(request, told, messages.WARNING)
        self._go_on(request, run)
        return redirect("admin:courses_bulkrun_change", run.pk)

    def _go_on(self, request: HttpRequest, run: BulkRun) -> None:
        try:
            services.carry_out_list(
                run_id=run.pk, actor=request.user, seconds=_PATIENCE_SECONDS
            )
        except (DomainError, ListRefused) as error:
            self.message_user(request, f"{run.name}: {error}", messages.ERROR)
            for number, detail in sorted(getattr(error, "lines", {}).items())[:_SHOWN]:
                self.message_user(request, f"Line {number}: {detail}", messages.ERROR)
        counts = BulkRow.objects.filter(run=run).aggregate(
            done=Count("pk", filter=Q(status="done")),
            refused=Count("pk", filter=Q(status="refused")),
            left=Count("pk", filter=Q(status="pending")),
        )
        told = "{name}: {done} done, {refused} refused, {left} left.".format(
            name=run.name, **counts
        )
        is_well = not (counts["refused"] or counts["left"])
        level = messages.SUCCESS if is_well else messages.WARNING
        self.message_user(request, told, level)


@admin.register(BulkRow)
class BulkRowAdmin(ReadOnlyAdmin):
    """The lines of lists, and what came of each."""

    list_display = (
        "run",
        "line",
        "person",
        "amount",
        "status",
        "detail",
        "made",
        "decided_at",
    )
    list_filter = ("status",)
    list_select_related = ("run",)
    search_fields = ("person", "run__name", "run__id")
    search_help_text = "Somebody as written in a list, or the list's name or id"
    ordering = ("-run_id", "line", "pk")

    @admin.display(description="made")
    def made(self, row: BulkRow) -> str:
        """Return the enrollment or the transfer that the line made."""
        if row.enrollment_id is not None:
            page, pk = "admin:courses_enrollment_change", row.enrollment_id
        elif row.transfer_id is not None:
            page, pk = "admin:wallets_credittransfer_change", row.transfer_id
        else:
            return "-"
        word = "enrollment" if row.enrollment_id else "transfer"
        return format_html('<a href="{}">{}</a>', reverse(page, args=[pk]), word)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return whether lists may be seen, of which these are a part."""
        return request.user.has_perm("courses.view_bulkrun")

    def lookup_allowed(
        self, lookup: str, value: Any, request: HttpRequest | None = None
    ) -> bool:
        """Allow the lines of one list, to which its page leads."""
        allowed: bool = super().lookup_allowed(lookup, value, request)  # type: ignore[arg-type]
        return allowed or lookup == "run__id__exact"
