from __future__ import annotations

import pytest
from django.template.loader import render_to_string
from django.test import Client, RequestFactory
from django.urls import path

from mailhub import error_pages
from mailhub.urls import handler400, handler500  # noqa: F401 - this module is a URLconf: Django looks here for them


def fail(request: object) -> None:
    raise RuntimeError("secret detail")


fail.login_required = False  # type: ignore[attr-defined]
urlpatterns = [path("fail/", fail)]


@pytest.mark.parametrize("name", ["400", "403", "403_csrf", "404", "429", "500"])
def test_every_error_page_renders_without_a_request(name: str) -> None:
    html = render_to_string(f"{name}.html")

    assert f">{name[:3]}<" in html
    assert "tell this id" not in html


@pytest.mark.parametrize("name", ["403", "403_csrf", "404", "429"])
def test_pages_with_a_request_show_the_id_that_the_log_knows(name: str) -> None:
    request = RequestFactory().get("/")
    request.request_id = "4f3c90ab12de"  # type: ignore[attr-defined]

    assert "<code>4f3c90ab12de</code>" in render_to_string(f"{name}.html", {"request": request})


def test_400_and_500_show_it_too_without_any_context_processor() -> None:
    request = RequestFactory().get("/")
    request.request_id = "4f3c90ab12de"  # type: ignore[attr-defined]

    for response in (error_pages.server_error(request), error_pages.bad_request(request, ValueError())):
        assert b"<code>4f3c90ab12de</code>" in response.content
        assert response.status_code in (400, 500)


@pytest.mark.urls("tests.theme.test_error_pages")
def test_a_fault_answers_with_the_id_of_the_log_and_no_details() -> None:
    response = Client(raise_request_exception=False).get("/fail/", headers={"host": "localhost"})

    assert response.status_code == 500
    assert response["X-Request-ID"] in response.content.decode()
    assert b"secret detail" not in response.content
