"""What the catalogue and enrolling refuse."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from credits_project.exceptions import DomainError


class AlreadyEnrolled(DomainError):
    """The learner is in the course."""

    code = "already-enrolled"
    title = "You are enrolled in this course already."
    status = 409

    def __init__(self) -> None:
        super().__init__("Nothing was paid again.")


class CourseNotAvailable(DomainError):
    """The course is not on offer now."""

    code = "course-not-available"
    title = "The course is not available."
    status = 409

    def __init__(self) -> None:
        super().__init__("This course takes no new learners.")


class OwnCourse(DomainError):
    """The learner is the coach."""

    code = "own-course"
    title = "This is your own course."
    status = 409

    def __init__(self) -> None:
        super().__init__("Coaches cannot enroll in their own courses.")


class PriceChanged(DomainError):
    """The course costs something else than the client saw."""

    code = "price-changed"
    title = "The price has changed."
    status = 409

    def __init__(self, *, price: Decimal) -> None:
        super().__init__(f"The course costs {price} credits now.", price=str(price))


class NotRefundable(DomainError):
    """The enrollment has nothing to give back to the one who asks."""

    code = "not-refundable"
    title = "This cannot be refunded."
    status = 409

    def __init__(self, detail: str, **facts: Any) -> None:
        super().__init__(detail, **facts)
