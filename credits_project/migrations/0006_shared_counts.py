"""What web processes share and may lose: the counts of calls, and Django's cache.

UNLOGGED: they are written with each call, need no disk, and begin anew after a crash.
"""

from __future__ import annotations

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("credits_project", "0005_staff_see_adjustments")]

    operations = [
        migrations.RunSQL(
            sql="""
            -- One row for each caller and scope that is limited: the moment at which
            -- nothing will be left of the calls made so far.
            CREATE UNLOGGED TABLE call_limits (
                key text PRIMARY KEY,
                idle_at timestamptz NOT NULL,
                CONSTRAINT credits_project_call_limits_key_length
                    CHECK (length(key) BETWEEN 1 AND 200)
            ) WITH (fillfactor = 50);

            -- As Django's database cache wants it.
            CREATE UNLOGGED TABLE shared_cache (
                cache_key varchar(255) PRIMARY KEY,
                value text NOT NULL,
                expires timestamptz NOT NULL
            );
            CREATE INDEX shared_cache_expires ON shared_cache (expires);
            """,
            reverse_sql="DROP TABLE call_limits; DROP TABLE shared_cache;",
        ),
    ]
