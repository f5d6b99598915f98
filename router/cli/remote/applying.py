"""``apply`` and ``import`` through the API, told in the words of the commands."""

from __future__ import annotations

from router.cli.apply import nothing_done, report, show_plan, summary, tell_done
from router.cli.asking import confirmed
from router.cli.importing import exit_of, failed_lines, plan_told, tell_faults
from router.cli.importing import tell_done as tell_imported
from router.cli.output import BadFile, Exit, answer
from router.cli.remote.client import Client
from router.cli.remote.planning import carry_out, draft
from router.cli.remote.tenants import Given
from router.cli.tenant_file import read_tenants
from router.cli.tenant_table import read_table
from router.tenants.wishes import wish_of


def apply(client: Client, given: Given) -> int:
    """Do ``apply``."""
    as_json = given["as_json"]
    read = read_tenants(given["file"])
    drafted = draft(client, [wish_of(entry) for entry in read.entries], quiet=as_json)
    read.check(drafted.faults)
    orders = drafted.orders
    if not as_json:
        show_plan(drafted.steps)
    if given["check"] or not orders:
        answer(report(drafted.steps), nothing_done(orders), as_json=as_json)
        return Exit.PENDING if orders else Exit.OK
    refused = confirmed("Do that?", yes=given["yes"], as_json=as_json)
    if refused is not None:
        return refused
    failures = carry_out(client, orders, quiet=as_json)
    return tell_done(drafted.steps, failures, as_json=as_json)


def import_(client: Client, given: Given) -> int:
    """Do ``import``."""
    as_json, report_to = given["as_json"], given["report_to"]
    table = read_table(given["file"])
    drafted = draft(client, table.wishes, quiet=as_json)
    faults = table.located(drafted.faults)
    tell_faults(faults, report_to, quiet=as_json)
    if faults and given["all_or_nothing"]:
        raise BadFile(table.name, faults)
    orders = drafted.orders
    if not as_json:
        print(plan_told(drafted.steps, faults))
    if given["check"] or not orders:
        tell_imported(drafted.steps, faults, (), said="Nothing was changed.", as_json=as_json)
        return exit_of(faults, pending=bool(orders))
    refused = confirmed("Do that?", yes=given["yes"], as_json=as_json)
    if refused is not None:
        return refused
    failures = carry_out(client, orders, quiet=as_json)
    failed = [*faults, *failed_lines(failures, table)]
    if failures:
        tell_faults(failed, report_to, quiet=as_json)
    said = summary(drafted.steps, failures)
    tell_imported(drafted.steps, failed, failures, said=said, as_json=as_json)
    return exit_of(failed, pending=False)
