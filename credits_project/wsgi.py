"""The WSGI application that a web server runs."""

from __future__ import annotations

import os

from django.core.wsgi import get_wsgi_application

from credits_project import server_checks

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "credits_project.settings")

application = server_checks.guarded(get_wsgi_application())
