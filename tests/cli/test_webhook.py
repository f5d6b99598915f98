"""``webhook``: set up, looked at, tried out and removed; the secret shown once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from router.cli.output import Exit

if TYPE_CHECKING:
    from tests.cli.conftest import Shell

URL = "https://192.0.2.7.example/hook"


def test_a_webhook_is_set_up_and_told_once(acme: Shell) -> None:
    """The secret is in the answer to `add` and to `rotate` alone, on a line of its own for people."""
    made = acme("webhook", "add", URL, "--tenant", "acme", "--event", "domain.active", "--json").answer
    secret = made.pop("secret")
    assert secret.startswith("whsec_")
    assert (made["tenant"], made["url"], made["events"]) == ("acme", URL, ["domain.active"])
    assert acme("webhook", "list", "--json").answer == [made]
    assert secret not in acme("webhook", "list").out
    first, second = acme("webhook", "rotate", made["id"]).out.splitlines()
    assert first.startswith("whsec_")
    assert first != secret
    assert "for a day" in second


def test_without_a_tenant_it_is_the_platforms(acme: Shell) -> None:
    """It hears of all, and is not among a tenant's."""
    made = acme("webhook", "add", URL, "--json").answer
    assert (made["tenant"], made["events"]) == ("(all)", ["*"])
    assert acme("webhook", "list", "--tenant", "acme", "--json").answer == []


def test_deliveries_are_listed_and_sent_again(acme: Shell) -> None:
    """A test event waits until a router sends it; again is the same one."""
    webhook = acme("webhook", "add", URL, "--json").answer["id"]
    sent = acme("webhook", "test", webhook, "--json").answer
    assert (sent["event"], sent["state"]) == ("webhook.test", "waiting")
    assert acme("webhook", "deliveries", webhook, "--json").answer == [sent]
    again = acme("webhook", "redeliver", webhook, sent["id"], "--json").answer
    assert (again["id"], again["state"]) == (sent["id"], "waiting")


def test_a_webhook_is_switched_off_and_removed(acme: Shell) -> None:
    """Off it cannot be tried out (5), removed it is not there (4)."""
    webhook = acme("webhook", "add", URL, "--json").answer["id"]
    assert acme("webhook", "disable", webhook, "--json").answer["disabled"] is True
    assert acme("webhook", "test", webhook).code == Exit.CONFLICT
    assert acme("webhook", "enable", webhook, "--json").answer["disabled"] is False
    assert acme("webhook", "remove", webhook).code == Exit.OK
    assert acme("webhook", "deliveries", webhook).code == Exit.NOT_FOUND


def test_bad_wishes_are_refused(acme: Shell) -> None:
    """What is no web address, where nothing may be posted to, and what never happens (3)."""
    for url in ("ftp://hook.example/", "http://169.254.169.254/"):
        assert acme("webhook", "add", url).code == Exit.BAD_INPUT
    refused = acme("webhook", "add", URL, "--event", "domain.lost")
    assert refused.code == Exit.BAD_INPUT
    assert "domain.active" in refused.err
