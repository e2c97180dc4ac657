"""The addresses of courses and enrollments: read, one service call, show."""

from __future__ import annotations

import uuid
from typing import Any

from django.db.models import QuerySet
from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import status
from rest_framework.exceptions import NotAuthenticated
from rest_framework.permissions import SAFE_METHODS, AllowAny, BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from courses import earnings_files, selectors, services
from courses.models import Course, Enrollment
from courses.serializers import (
    CourseChanges,
    CourseInput,
    CourseOutput,
    CourseParameters,
    EarningsParameters,
    EnrollInput,
    EnrollmentOutput,
    EnrollmentParameters,
    QuoteOutput,
    RefundInput,
)
from courses.services.catalog import PUBLISH
from credits_project import idempotency, retries
from credits_project.exceptions import NotFound
from credits_project.filters import PAGE_PARAMETERS, read_parameters
from credits_project.ids import new_id
from credits_project.pagination import ListView


class MayOfferCourses(BasePermission):
    """Holds `courses.publish_course`."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Return whether the caller holds the permission."""
        return bool(request.user and request.user.has_perm(PUBLISH))


class CatalogView(APIView):
    """What everybody reads and coaches write."""

    def get_permissions(self) -> list[Any]:
        """Return who may do what the method does."""
        is_read = self.request.method in SAFE_METHODS
        return [AllowAny()] if is_read else [MayOfferCourses()]


class CourseList(CatalogView, ListView):
    """The catalogue."""

    serializer_class = CourseOutput
    filters = CourseParameters

    @extend_schema(operation_id="courses_list")
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Return a page of published courses, or of the caller's own."""
        return super().get(request, *args, **kwargs)

    @extend_schema(
        operation_id="courses_create",
        request=CourseInput,
        responses={201: CourseOutput},
    )
    def post(self, request: Request) -> Response:
        """Add a course of the caller's."""
        body = CourseInput(data=request.data)
        body.is_valid(raise_exception=True)
        course = services.create_course(coach=request.user, **body.validated_data)
        return Response(_shown(request, course), status.HTTP_201_CREATED)

    def get_queryset(self) -> QuerySet[Course]:
        """Return the courses that the parameters choose."""
        if getattr(self, "swagger_fake_view", False):
            return Course.objects.none()
        asked = read_parameters(self.request, CourseParameters, beside=PAGE_PARAMETERS)
        if not asked["mine"]:
            return selectors.published_courses(user=self.request.user)
        if not self.request.user.is_authenticated:
            raise NotAuthenticated
        return selectors.courses_of_coach(user=self.request.user)


class CourseDetail(CatalogView):
    """One course."""

    @extend_schema(operation_id="courses_read", responses=CourseOutput)
    def get(self, request: Request, course_id: uuid.UUID) -> Response:
        """Return a course that is published, one's own, or that one is enrolled in."""
        course = selectors.visible_courses(user=request.user).filter(pk=course_id)
        return Response(CourseOutput(_only(course)).data)

    @extend_schema(
        operation_id="courses_update", request=CourseChanges, responses=CourseOutput
    )
    def patch(self, request: Request, course_id: uuid.UUID) -> Response:
        """Change a course of the caller's."""
        body = CourseChanges(data=request.data)
        body.is_valid(raise_exception=True)
        course = services.update_course(
            coach=request.user, course_id=course_id, **body.validated_data
        )
        return Response(_shown(request, course))


class CourseQuote(APIView):
    """What enrolling would do."""

    @extend_schema(operation_id="courses_quote", responses=QuoteOutput)
    def get(self, request: Request, course_id: uuid.UUID) -> Response:
        """Return what the course costs the caller now, and who gets it."""
        quote = services.quote(learner=request.user, course_id=course_id)
        return Response(QuoteOutput(quote).data)


class CourseEnroll(APIView):
    """Enrolling."""

    moves_money = True

    @extend_schema(
        operation_id="courses_enroll",
        request=EnrollInput,
        responses={201: EnrollmentOutput},
    )
    def post(self, request: Request, course_id: uuid.UUID) -> Response:
        """Enroll the caller for the course's price."""
        key = _key_of(request)
        body = EnrollInput(data=request.data)
        body.is_valid(raise_exception=True)
        enrollment = retries.run(
            lambda: services.enroll_with_credits(
                learner=request.user,
                course_id=course_id,
                idempotency_key=key,
                **body.validated_data,
            ),
            find=lambda: services.find_enrollment(
                learner=request.user, idempotency_key=key
            ),
        )
        return _answer(request, enrollment, status=status.HTTP_201_CREATED)


class EnrollmentList(ListView):
    """Enrollments of the caller, or in the caller's courses."""

    serializer_class = EnrollmentOutput
    filters = EnrollmentParameters

    @extend_schema(operation_id="enrollments_list")
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Return a page of enrollments."""
        return super().get(request, *args, **kwargs)

    def get_queryset(self) -> QuerySet[Enrollment]:
        """Return the enrollments that the parameters choose."""
        if getattr(self, "swagger_fake_view", False):
            return Enrollment.objects.none()
        asked = read_parameters(
            self.request, EnrollmentParameters, beside=PAGE_PARAMETERS
        )
        if asked["role"] == "coach":
            return selectors.enrollments_of_coach(user=self.request.user)
        return selectors.enrollments_of_learner(user=self.request.user)


class EnrollmentDetail(APIView):
    """One enrollment."""

    @extend_schema(operation_id="enrollments_read", responses=EnrollmentOutput)
    def get(self, request: Request, enrollment_id: uuid.UUID) -> Response:
        """Return an enrollment of the caller, or in a course of the caller."""
        found = selectors.visible_enrollments(user=request.user)
        enrollment = _only(found.filter(pk=enrollment_id))
        return Response(EnrollmentOutput(enrollment).data)


class EnrollmentRefund(APIView):
    """Taking the price back."""

    moves_money = True

    @extend_schema(
        operation_id="enrollments_refund",
        request=RefundInput,
        responses=EnrollmentOutput,
    )
    def post(self, request: Request, enrollment_id: uuid.UUID) -> Response:
        """Give the caller the whole price back, inside the refund window."""
        key = _key_of(request)
        body = RefundInput(data=request.data)
        body.is_valid(raise_exception=True)
        # Staff refund in the console; here another's enrollment does not exist.
        own = selectors.enrollments_of_learner(user=request.user)
        _only(own.filter(pk=enrollment_id))
        enrollment = retries.run(
            lambda: services.refund_enrollment(
                enrollment_id=enrollment_id,
                actor=request.user,
                idempotency_key=key,
                **body.validated_data,
            ),
            find=lambda: services.find_refunded(
                actor=request.user, idempotency_key=key
            ),
        )
        return _answer(request, enrollment, status=status.HTTP_200_OK)


class EarningsStatement(APIView):
    """What the caller earned as a coach."""

    @extend_schema(
        operation_id="earnings_statement",
        parameters=[EarningsParameters],
        responses={
            (200, "text/csv"): OpenApiTypes.STR,
            (200, "application/pdf"): OpenApiResponse(OpenApiTypes.BINARY),
        },
    )
    def get(self, request: Request) -> HttpResponseBase:
        """Return a month's sales and refunds as CSV, or by course as PDF."""
        asked = read_parameters(request, EarningsParameters)
        return earnings_files.answer(
            coach=request.user, month=asked.get("month"), form=asked["format"]
        )


def _key_of(request: Request) -> str:
    # Where the client sent none it gets one that nobody else knows: should the
    # connection be lost, what was booked is found by it.
    return idempotency.key_of(request) or str(new_id())


def _only(rows: QuerySet[Any]) -> Any:
    row = rows.first()
    if row is None:
        raise NotFound("It does not exist, or it is not for you to see.")
    return row


def _shown(request: Request, course: Course) -> Any:
    shown = selectors.courses_of_coach(user=request.user).get(pk=course.pk)
    return CourseOutput(shown).data


def _answer(request: Request, enrollment: Enrollment, *, status: int) -> Response:
    shown = selectors.enrollments_of_learner(user=request.user).get(pk=enrollment.pk)
    return idempotency.answer(enrollment, EnrollmentOutput(shown).data, status=status)
