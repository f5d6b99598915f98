"""The command line: one app, one module a noun.

A command imports what is slow to import (SQLAlchemy, cryptography, the servers) when it runs, so that
``--help`` and a mistyped option are answered at once.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import Final

from cyclopts import App, CycloptsError

from router.cli import audit, certificate, domain, keys, mail, operator, tenant, theme, token, user, webhook
from router.cli.apply import apply, export
from router.cli.demo import demo
from router.cli.explain import explain
from router.cli.importing import import_
from router.cli.migrate import migrate
from router.cli.output import EXIT_CODES, BadFile, Exit, Record, complain, exit_for
from router.cli.remote.place import Place, find_place
from router.cli.serve import serve
from router.cli.settings import settings
from router.errors import BadInput, RouterError, Unavailable

_INTERRUPTED: Final = 130
_HELP: Final = frozenset({"--help", "-h", "--version", "--install-completion"})
_HINTS: Final = {"tenant_not_found": " See: tenant-router tenant list"}
"""What helps at a command line, and would say nothing to a caller of the API."""

app = App(
    name="tenant-router",
    help="The front door of a multi-tenant portal: TLS per tenant, themed sign-in, authenticated forwarding."
    "\n\nThrough the API of a router elsewhere: tenant-router --server https://HOST --token-file FILE "
    "COMMAND …, with --ca-file FILE for an authority of your own.",
    help_epilogue=EXIT_CODES,
    help_format="plaintext",
    version=lambda: version("tenant-router"),
)

app.command(serve)
app.command(demo)
app.command(settings)
app.command(migrate)
app.command(tenant.app)
app.command(theme.app)
app.command(certificate.app)
app.command(domain.app)
app.command(user.app)
app.command(operator.app)
app.command(token.app)
app.command(webhook.app)
app.command(mail.app)
app.command(audit.app)
app.command(keys.app)
app.command(explain)
app.command(export)
app.command(apply)
app.command(import_, name="import")
app.register_install_completion_command(
    help="Have the shell complete commands, options and files; --shell bash, zsh or fish."
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and answer its exit code."""
    tokens = list(sys.argv[1:] if arguments is None else arguments)
    as_json = "--json" in tokens
    try:
        place, tokens = find_place(tokens)
        result = _here(tokens) if place is None or _HELP & set(tokens) else _elsewhere(place, tokens)
        sys.stdout.flush()  # a reader that has gone is noticed here, not at exit
    except CycloptsError as fault:
        return _usage(str(fault), _asked_for(tokens), as_json=as_json)
    except RouterError as fault:
        return _failed(fault, as_json=as_json)
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has seen enough. What is still buffered may not complain at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.OK
    return result if isinstance(result, int) else Exit.OK


def _here(tokens: list[str]) -> object:
    return app(tokens, exit_on_error=False, print_error=False, result_action="return_value")


def _elsewhere(place: Place, tokens: list[str]) -> object:
    """Do a command through the API of a router elsewhere."""
    names, _, _ = app.parse_commands(tokens)
    command, typed, _ = app.parse_args(tokens, exit_on_error=False, print_error=False)
    if not command.__module__.startswith("router."):
        return _here(tokens)  # half a command: what there is
    from router.cli.remote.commands import run  # noqa: PLC0415 - only where there is a server to ask

    return run(place, command, typed, names)


def _failed(fault: RouterError, *, as_json: bool) -> int:
    faults: Sequence[Record] = ()
    lines: Sequence[str] = ()
    if isinstance(fault, BadFile):
        faults, lines = fault.details, fault.lines
    elif isinstance(fault, BadInput) and fault.further:
        faults = [
            {"field": each.field, "code": each.code, "sentence": each.sentence} for each in fault.faults
        ]
        lines = [each.sentence for each in fault.further]
    sentence = fault.sentence + _HINTS.get(fault.code, "")
    cause = _told_cause(fault)
    complain(fault.code, sentence, as_json=as_json, cause=cause, faults=faults, lines=lines)
    return exit_for(fault)


def _told_cause(fault: RouterError) -> BaseException | None:
    """Only an outage has a cause that helps whoever asked: what is wrong with input is in the sentence."""
    return fault.__cause__ if isinstance(fault, Unavailable) else None


def _asked_for(tokens: Sequence[str]) -> str:
    """Give the command whose help would help: as much of it as was typed rightly."""
    names, _, _ = app.parse_commands(tokens)
    return " ".join(["tenant-router", *names])


def _usage(message: str, command: str, *, as_json: bool) -> int:
    sentence = message if as_json else f"{message} See {command} --help."
    complain("usage", sentence, as_json=as_json)
    return Exit.USAGE
