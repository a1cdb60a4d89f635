"""Every rule of the database is in force after migrating, on both databases."""

import os
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection

ROOT = Path(settings.BASE_DIR)


@pytest.mark.django_db
def test_sqlite_has_every_rule_that_postgresql_has(tmp_path: Path) -> None:
    """SQLite forgets a table's triggers when a migration makes the table anew."""
    environment = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    subprocess.run(
        [sys.executable, "manage.py", "migrate", "--verbosity", "0"],
        cwd=ROOT,
        env=environment | {"SALLYPORT_SANDBOX": "true", "SALLYPORT_VAR": str(tmp_path)},
        check=True,
    )
    (file,) = tmp_path.glob("*.sqlite3")
    with closing(sqlite3.connect(file)) as database:
        rows = database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")
        kept = {re.sub("_(insert|update|delete)$", "", name) for (name,) in rows}

    with connection.cursor() as cursor:
        cursor.execute("SELECT tgname FROM pg_trigger WHERE NOT tgisinternal")
        rules = {name for (name,) in cursor.fetchall()}
    assert kept == rules
    assert len(rules) > 20
