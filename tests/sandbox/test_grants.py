from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from authlib.integrations.requests_client import OAuth2Session
from joserfc import jwt
from joserfc.errors import BadSignatureError, JoseError
from joserfc.jwk import KeySet

from tests.servers.sandbox import ALL_SCOPES, Sandbox

ALICE, BOB = "alice@sandbox.test", "bob@sandbox.test"


def answer_of(location: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}


def active(sandbox: Sandbox, token: str) -> bool:
    url = sandbox.endpoints["issuer"] + "/introspect"
    answer = sandbox.session().post(url, data={"token": token}, auth=sandbox.client, timeout=10).json()
    return bool(answer["active"])


def claims(sandbox: Sandbox, id_token: str) -> dict[str, Any]:
    keys = KeySet.import_key_set(sandbox.session().get(sandbox.discovery["jwks_uri"], timeout=10).json())
    return jwt.decode(id_token, keys, ["RS256"]).claims


def test_discovery_names_tls_endpoints_and_one_for_the_browser_without(sandbox: Sandbox) -> None:
    document = sandbox.discovery

    assert document["issuer"] == sandbox.endpoints["issuer"]
    assert document["authorization_endpoint"] == sandbox.endpoints["authorization_endpoint"]
    assert document["authorization_endpoint"].startswith("http://localhost:")
    others = [v for k, v in document.items() if k.endswith("_endpoint") and k != "authorization_endpoint"]
    assert len(others) == 4
    assert all(url.startswith("https://localhost:") for url in [*others, document["jwks_uri"]])
    assert document["authorization_response_iss_parameter_supported"] is True
    assert document["code_challenge_methods_supported"] == ["S256"]


def test_consent_gives_tokens_for_the_person_who_was_chosen(sandbox: Sandbox) -> None:
    asked, verifier = sandbox.ask(ALICE)
    location = sandbox.consent(asked, BOB)  # login_hint said alice
    tokens = sandbox.redeem(asked, verifier, location).json()

    assert answer_of(location)["iss"] == sandbox.endpoints["issuer"]
    assert answer_of(location)["state"] == answer_of(asked)["state"]
    assert tokens["scope"] == ALL_SCOPES
    found = claims(sandbox, tokens["id_token"])
    assert (found["iss"], found["aud"]) == (sandbox.endpoints["issuer"], sandbox.client[0])
    assert (found["email"], found["name"], found["nonce"]) == (BOB, "Bob Baker", answer_of(asked)["nonce"])
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    info = sandbox.session().get(sandbox.discovery["userinfo_endpoint"], headers=headers, timeout=10).json()
    assert (info["email"], info["sub"]) == (BOB, found["sub"])


def test_an_unticked_scope_is_not_granted(sandbox: Sandbox) -> None:
    asked, verifier = sandbox.ask(ALICE)
    location = sandbox.consent(asked, ALICE, scopes=["mail.imap"])
    tokens = sandbox.redeem(asked, verifier, location).json()

    assert tokens["scope"] == "openid email profile mail.imap"
    assert "refresh_token" not in tokens


def test_deny_comes_back_as_access_denied_with_state_and_issuer(sandbox: Sandbox) -> None:
    asked, _ = sandbox.ask(ALICE)
    answer = answer_of(sandbox.consent(asked, "", answer="deny"))

    assert answer["error"] == "access_denied"
    assert answer["state"] == answer_of(asked)["state"]
    assert answer["iss"] == sandbox.endpoints["issuer"]


@pytest.mark.parametrize(
    "path",
    ["/connect/callback/", "/connect/callback/not-a-uuid/", "/connect/callback/0190aaaa-0000-7000-8000-000000000000",
     "/connect/callback/0190aaaa-0000-7000-8000-000000000000/x", "/"],
)  # fmt: skip
def test_a_redirect_uri_that_is_no_callback_is_never_followed(sandbox: Sandbox, path: str) -> None:
    asked, _ = sandbox.ask(ALICE, redirect_uri=sandbox.base_url + path)
    page = sandbox.session().get(asked, timeout=10, allow_redirects=False)

    assert page.status_code == 400
    assert "Location" not in page.headers


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"code_challenge": None, "code_challenge_method": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"scope": "openid mail.everything"}, "invalid_scope"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"prompt": "none"}, "login_required"),
    ],
)
def test_an_unsound_request_goes_back_with_its_error(
    sandbox: Sandbox, changes: dict[str, str | None], error: str
) -> None:
    asked, _ = sandbox.ask(ALICE, **changes)
    answer = answer_of(sandbox.consent(asked, ALICE))

    assert answer["error"] == error
    assert answer["iss"] == sandbox.endpoints["issuer"]


def test_a_wrong_verifier_gets_nothing(sandbox: Sandbox) -> None:
    asked, _ = sandbox.ask(ALICE)
    refused = sandbox.redeem(asked, "x" * 50, sandbox.consent(asked, ALICE))

    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")


def test_a_wrong_client_secret_gets_nothing(sandbox: Sandbox) -> None:
    url = sandbox.endpoints["issuer"] + "/token"
    form = {"grant_type": "client_credentials"}
    refused = sandbox.session().post(url, data=form, auth=("mailhub", "wrong"), timeout=10)

    assert (refused.status_code, refused.json()["error"]) == (401, "invalid_client")


def test_a_code_used_twice_ends_the_grant_it_gave(sandbox: Sandbox) -> None:
    asked, verifier = sandbox.ask(ALICE)
    location = sandbox.consent(asked, ALICE)
    tokens = sandbox.redeem(asked, verifier, location).json()

    assert sandbox.redeem(asked, verifier, location).status_code == 400
    assert not active(sandbox, tokens["access_token"])


def test_authlib_refreshes_and_the_old_refresh_token_ends_the_family(sandbox: Sandbox) -> None:
    first = sandbox.grant(ALICE)
    with OAuth2Session(*sandbox.client, token=dict(first)) as session:
        session.trust_env, session.verify = False, sandbox.endpoints["ca"]
        second = session.refresh_token(sandbox.endpoints["issuer"] + "/token", timeout=10)
        assert second["refresh_token"] != first["refresh_token"]
        assert active(sandbox, second["access_token"])

        replay = sandbox.token(grant_type="refresh_token", refresh_token=first["refresh_token"])

    assert (replay.status_code, replay.json()["error"]) == (400, "invalid_grant")
    assert not active(sandbox, second["access_token"])
    assert not active(sandbox, second["refresh_token"])


def test_rotation_can_be_reusable_or_absent(sandbox: Sandbox) -> None:
    token = sandbox.grant(ALICE)["refresh_token"]
    sandbox.fault("rotation", "reusable")
    answers = [sandbox.token(grant_type="refresh_token", refresh_token=token).json() for _ in range(2)]
    assert len({token, *(answer["refresh_token"] for answer in answers)}) == 3

    sandbox.fault("rotation", "none")
    assert "refresh_token" not in sandbox.token(grant_type="refresh_token", refresh_token=token).json()
    assert sandbox.token(grant_type="refresh_token", refresh_token=token).status_code == 200


def test_client_credentials_give_an_access_token_for_mail_alone(sandbox: Sandbox) -> None:
    answer = sandbox.token(grant_type="client_credentials").json()

    assert answer["scope"] == "mail.imap mail.pop mail.smtp"
    assert "refresh_token" not in answer


@pytest.mark.parametrize(("whole_project", "other_lives"), [(False, True), (True, False)])
def test_revocation_ends_one_grant_or_like_google_all_of_that_person(
    sandbox: Sandbox, whole_project: bool, other_lives: bool
) -> None:
    one, other, bobs = sandbox.grant(ALICE), sandbox.grant(ALICE), sandbox.grant(BOB)
    sandbox.fault("project_revocation", whole_project)
    form = {"token": one["refresh_token"], "token_type_hint": "refresh_token"}
    done = sandbox.session().post(sandbox.discovery["revocation_endpoint"], data=form, auth=sandbox.client, timeout=10)

    assert done.status_code == 200
    assert not active(sandbox, one["access_token"])
    assert active(sandbox, other["access_token"]) is other_lives
    assert active(sandbox, bobs["access_token"])


def test_introspection_says_whose_token_it_is_and_for_what(sandbox: Sandbox) -> None:
    tokens = sandbox.grant(ALICE, "openid email mail.imap")
    url = sandbox.endpoints["issuer"] + "/introspect"
    answer = sandbox.session().post(url, data={"token": tokens["access_token"]}, auth=sandbox.client, timeout=10).json()

    assert (answer["active"], answer["username"], answer["scope"]) == (True, ALICE, "openid email mail.imap")
    assert answer["exp"] - answer["iat"] == 3600
    assert sandbox.session().post(url, data={"token": "x"}, auth=("mailhub", "no"), timeout=10).status_code == 401


@pytest.mark.parametrize("wrong", ["signature", "unsigned", "hs256"])
def test_a_forged_id_token_can_be_had(sandbox: Sandbox, wrong: str) -> None:
    sandbox.fault("id_token", wrong, 1)
    forged = sandbox.grant(ALICE)["id_token"]

    with pytest.raises((BadSignatureError, JoseError)):
        claims(sandbox, forged)


def test_an_id_token_with_wrong_claims_can_be_had(sandbox: Sandbox) -> None:
    right = claims(sandbox, sandbox.grant(ALICE)["id_token"])
    spoils = {"issuer": "iss", "audience": "aud", "nonce": "nonce", "subject": "sub", "unverified": "email_verified"}
    for wrong, claim in spoils.items():
        sandbox.fault("id_token", wrong, 1)
        assert claims(sandbox, sandbox.grant(ALICE)["id_token"])[claim] != right[claim]
    sandbox.fault("id_token", "missing", 1)
    assert "id_token" not in sandbox.grant(ALICE)


def test_it_can_look_like_microsoft(sandbox: Sandbox) -> None:
    sandbox.fault("tenant_issuer", True)
    document = sandbox.discovery
    asked, verifier = sandbox.ask(ALICE)
    location = sandbox.consent(asked, ALICE)
    found = claims(sandbox, sandbox.redeem(asked, verifier, location).json()["id_token"])

    assert document["issuer"].endswith("/{tenantid}/v2.0")
    assert "revocation_endpoint" not in document
    assert "iss" not in answer_of(location)
    assert found["iss"] == document["issuer"].replace("{tenantid}", found["tid"])


def test_the_issuer_parameter_can_be_wrong(sandbox: Sandbox) -> None:
    sandbox.fault("iss_parameter", "https://evil.test", 1)
    asked, _ = sandbox.ask(ALICE)

    assert answer_of(sandbox.consent(asked, ALICE))["iss"] == "https://evil.test"
