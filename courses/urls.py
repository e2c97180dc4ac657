"""The addresses of courses and enrollments under `/api/v1/`."""

from __future__ import annotations

from django.urls import path

from courses import views

urlpatterns = [
    path("courses", views.CourseList.as_view()),
    path("courses/<uuid:course_id>", views.CourseDetail.as_view()),
    path("courses/<uuid:course_id>/quote", views.CourseQuote.as_view()),
    path("courses/<uuid:course_id>/enroll", views.CourseEnroll.as_view()),
    path("enrollments", views.EnrollmentList.as_view()),
    path("enrollments/<uuid:enrollment_id>", views.EnrollmentDetail.as_view()),
    path("enrollments/<uuid:enrollment_id>/refund", views.EnrollmentRefund.as_view()),
    path("earnings/statement", views.EarningsStatement.as_view()),
]
