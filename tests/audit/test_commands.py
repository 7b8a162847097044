from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from audit.heads import write_heads
from audit.models import INSTALLATION, AuditEvent
from tests.audit.conftest import Write
from tests.audit.lifted_triggers import lifted_triggers

pytestmark = pytest.mark.django_db

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def acme(tenant: Any, write: Write) -> Any:
    """A tenant with five events; the installation has one."""
    write(None, "tenant.created", target=tenant)
    for number in range(5):
        write(tenant.pk, detail={"number": number, "text": "é\u2028"})
    return tenant


@pytest.fixture
def exported(acme: Any, capfd: Captured, tmp_path: Path) -> Path:
    call_command("audit_export", tenant="acme")
    path = tmp_path / "acme.jsonl"
    path.write_text(capfd.readouterr().out)
    return path


def verify(capfd: Captured, *arguments: object) -> tuple[int, str]:
    """Exit status and what was printed."""
    status = 0
    try:
        call_command("audit_verify", *map(str, arguments))
    except SystemExit as ended:
        status = int(ended.code or 0)
    except CommandError as error:
        return error.returncode, str(error)
    return status, capfd.readouterr().out


def test_all_chains_are_checked_by_name(acme: Any, capfd: Captured) -> None:
    status, text = verify(capfd)

    assert status == 0
    assert text.splitlines() == [
        "acme: 5 events, unbroken; tail not proven: no signed head was given",
        "installation: 1 event, unbroken; tail not proven: no signed head was given",
    ]


def test_an_empty_installation_is_not_broken(db: None, capfd: Captured) -> None:
    assert verify(capfd)[0] == 0
    assert json.loads(verify(capfd, "--json")[1])["ok"] is True


def test_json_for_one_tenant_says_what_the_contract_names(acme: Any, capfd: Captured) -> None:
    status, text = verify(capfd, "--tenant", "acme", "--json")

    head = AuditEvent.objects.get(chain=acme.pk, seq=5).hash
    found = json.loads(text)
    assert status == 0
    assert found.items() >= {"ok": True, "count": 5, "head": head, "first_bad": None, "tail_proven": False}.items()


def test_json_for_all_chains_says_the_same_and_each_chain(acme: Any, capfd: Captured, head_log: Path) -> None:
    write_heads()
    found = json.loads(verify(capfd, "--json", "--head", head_log)[1])

    assert found.items() >= {"ok": True, "count": 6, "first_bad": None, "tail_proven": True}.items()
    assert {chain["chain"]: chain["count"] for chain in found["chains"]} == {str(acme.pk): 5, str(INSTALLATION): 1}


def test_a_broken_chain_is_status_1_with_words_and_in_json(acme: Any, capfd: Captured) -> None:
    with lifted_triggers(connection):
        AuditEvent.objects.filter(chain=acme.pk, seq=3).update(actor_label="eve@example.org")

    status, text = verify(capfd)
    status_json, document = verify(capfd, "--json")

    assert (status, status_json) == (1, 1)
    assert "acme: BROKEN at event 3 (2 events good before it)" in text
    assert json.loads(document).items() >= {"ok": False, "first_bad": 3}.items()


def test_an_export_is_checked_without_any_database(exported: Path, head_log: Path, tmp_path: Path) -> None:
    write_heads()
    command = [sys.executable, "-m", "django", "audit_verify", "--json", "--file", str(exported)]
    command += ["--head", str(head_log), "--key", str(head_log.with_suffix(".pub"))]
    elsewhere = {
        **os.environ,
        "DATABASE_URL": "postgres://nobody@127.0.0.1:1/none",
        "MAILHUB_DATA": str(tmp_path / "x"),
    }

    done = subprocess.run(command, env=elsewhere, capture_output=True, text=True, timeout=60)

    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout).items() >= {"ok": True, "count": 5, "tail_proven": True}.items()


@pytest.mark.parametrize(
    ("tamper", "first_bad"),
    [
        (lambda lines: [*lines[:2], lines[2].replace('"number":2', '"number":7'), *lines[3:]], 3),
        (lambda lines: [*lines[:2], lines[2].replace('"number":2', '"number":2.0'), *lines[3:]], 3),
        (lambda lines: [*lines[:2], lines[2].replace('"seq":3', '"seq":3,"seq":3'), *lines[3:]], 3),
        (lambda lines: [*lines[:2], lines[2].replace('"seq":3', '"seq":3,"more":1'), *lines[3:]], 3),
        (lambda lines: [*lines[:2], lines[2].replace('"seq":3', '"seq":true'), *lines[3:]], 3),
        (lambda lines: [*lines[:2], lines[2][:50]], 3),
        (lambda lines: [*lines[:2], "[" * 100000, *lines[2:]], 3),
        (lambda lines: lines[:2] + lines[3:], 3),
        (lambda lines: [lines[0], lines[2], lines[1], *lines[3:]], 2),
        (lambda lines: [*lines[:3], lines[2], *lines[3:]], 3),
        (lambda lines: ["nonsense", *lines], 1),
    ],
    ids=["changed", "float", "twin", "more", "kind", "torn", "deep", "removed", "swapped", "twice", "nonsense"],
)
def test_a_tampered_export_is_found(exported: Path, capfd: Captured, tamper: Any, first_bad: int) -> None:
    exported.write_text("\n".join(tamper(exported.read_text().split("\n")[:-1])) + "\n")

    status, text = verify(capfd, "--json", "--file", exported)

    assert status == 1
    assert json.loads(text)["first_bad"] == first_bad


def test_a_shortened_export_is_found_only_with_a_head(exported: Path, capfd: Captured, head_log: Path) -> None:
    write_heads()
    exported.write_text("\n".join(exported.read_text().split("\n")[:3]) + "\n")

    assert verify(capfd, "--file", exported)[0] == 0
    status, text = verify(capfd, "--json", "--file", exported, "--head", head_log)
    assert status == 1
    assert json.loads(text)["first_bad"] == 4


def test_a_head_that_is_not_valid_is_status_1(acme: Any, capfd: Captured, head_log: Path) -> None:
    write_heads()
    head_log.write_text(head_log.read_text().replace('"seq":5', '"seq":4'))

    status, text = verify(capfd, "--tenant", "acme", "--head", head_log)

    assert status == 1
    assert "signature" in text


@pytest.mark.parametrize(
    "arguments",
    [
        ["--tenant", "nobody"],
        ["--file", "/does/not/exist"],
        ["--head", "/does/not/exist"],
        ["--key", "/does/not/exist"],
        ["--head", __file__],
        ["--head", __file__, "--key", __file__],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_status_2_and_says_why(db: None, capfd: Captured, arguments: list[str]) -> None:
    status, text = verify(capfd, *arguments)

    assert status == 2
    assert text


def test_an_export_names_an_unknown_tenant(db: None) -> None:
    with pytest.raises(CommandError, match="nobody") as error:
        call_command("audit_export", tenant="nobody")

    assert error.value.returncode == 2


def test_the_installations_chain_can_be_exported(acme: Any, capfd: Captured) -> None:
    call_command("audit_export", installation=True)

    (line,) = capfd.readouterr().out.splitlines()
    assert json.loads(line)["action"] == "tenant.created"
