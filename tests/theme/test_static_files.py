from __future__ import annotations

import gzip
import json
import re
from pathlib import Path
from typing import Any

from django.core.management import call_command

STATIC = Path(__file__).resolve().parents[2] / "theme" / "static" / "mailhub"


def test_the_manifest_builds_and_names_every_file_of_ours(settings: Any, tmp_path: Path) -> None:
    settings.STATIC_ROOT = tmp_path
    settings.STORAGES = settings.STORAGES | {
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"}
    }

    call_command("collectstatic", interactive=False, verbosity=0)

    names = json.loads((tmp_path / "staticfiles.json").read_text())["paths"]
    assert {f"mailhub/{path.name}" for path in STATIC.iterdir()} <= set(names)
    stock = (tmp_path / names["mailhub/stock.css"]).read_text()
    assert stock.count("layer(stock)") == 4
    assert re.search(r"admin/css/base\.[0-9a-f]{12}\.css", stock)


def test_our_own_sheets_and_scripts_stay_small_on_the_wire() -> None:
    octets = sum(len(gzip.compress(path.read_bytes())) for path in [*STATIC.glob("*.css"), *STATIC.glob("*.js")])

    assert octets < 16 * 1024
