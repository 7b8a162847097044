"""Loaded by pytest before Django's settings: every test process gets a data folder of its own, short and temporary."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile

_folder = tempfile.mkdtemp(prefix="mh-")
atexit.register(shutil.rmtree, _folder, ignore_errors=True)
for _name in [name for name in os.environ if name.startswith("MAILHUB_") and name != "MAILHUB_TEST_WORKERS"]:
    del os.environ[_name]
os.environ["MAILHUB_DATA"] = _folder
os.environ["MAILHUB_ENV"] = "local"
os.environ["MAILHUB_LOG_LEVEL"] = "WARNING"
for _name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy"):
    os.environ.pop(_name, None)
