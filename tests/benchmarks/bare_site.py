"""What the webhook is compared with: a Django view that writes one row, and no more.

The database is spoken to as the site does; there is no middleware, no signature, no
look at the body and no queue.
"""

from __future__ import annotations

import os
from typing import ClassVar

from django.conf import settings

if not settings.configured:
    # Read without being in force: the addresses and time-outs of the site's database.
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "credits_project.settings")
    from credits_project import settings as of_the_site

    settings.configure(
        ALLOWED_HOSTS=["127.0.0.1"],
        DATABASES=of_the_site.DATABASES,
        ROOT_URLCONF=__name__,
        SECRET_KEY=of_the_site.SECRET_KEY,
        USE_TZ=True,
    )

import django
from django.core.wsgi import get_wsgi_application
from django.db import models
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path

django.setup()


class Row(models.Model):
    """One delivery."""

    body = models.BinaryField()

    objects: ClassVar[models.Manager[Row]] = models.Manager()

    class Meta:
        app_label = "bare"
        db_table = "bare_rows"
        managed = False

    def __str__(self) -> str:
        return f"row {self.pk}"


def receive(request: HttpRequest) -> HttpResponse:
    """Write the body down."""
    Row.objects.create(body=request.body)
    return JsonResponse({"received": True})


urlpatterns = [path("api/v1/webhooks/paychangu", receive)]
application = get_wsgi_application()
