"""The settings of the other contestants: Django as it comes, and django-hordak."""

from __future__ import annotations

import environ

SECRET_KEY = "for the benchmarks only, which serve nobody"
USE_TZ = True
INSTALLED_APPS = ["django.contrib.contenttypes", "mptt", "hordak"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES = {"default": environ.Env().db_url("DATABASE_URL")}
DATABASES["default"]["CONN_MAX_AGE"] = None
