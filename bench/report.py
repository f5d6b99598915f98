"""What a run found: a table for people, JSON for programs."""

from __future__ import annotations

import os
import platform
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from scenarios.scenario import Sample, Scenario


# Another program on the same core costs the proxy its caches, not only its time.
_TOLERATED = 0.05


@dataclass(frozen=True, slots=True)
class Spread:
    """Least, middle and greatest of several rounds."""

    least: float
    middle: float
    greatest: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Return the spread of ``values``, of which there is at least one."""
        return cls(min(values), median(values), max(values))

    def text(self, digits: int) -> str:
        """Write it as ``middle (least to greatest)``, or as one number where there was one round."""
        if self.least == self.greatest:
            return f"{self.middle:.{digits}f}"
        return f"{self.middle:.{digits}f} ({self.least:.{digits}f} to {self.greatest:.{digits}f})"


@dataclass(frozen=True, slots=True)
class Row:
    """One peer's rounds, in the order in which they were run."""

    name: str
    title: str
    version: str
    samples: tuple[Sample, ...]

    def figure(self) -> Spread:
        """Return the spread of the figure over the rounds."""
        return Spread.of([sample.figure for sample in self.samples])

    def ratio(self, baseline: Row) -> Spread:
        """Return the figure as a multiple of the baseline's, round by round.

        What disturbs the machine lasts longer than a measurement, so neighbours in time are compared.
        """
        pairs = zip(self.samples, baseline.samples, strict=True)
        return Spread.of([own.figure / other.figure for own, other in pairs])


def write_table(scenario: Scenario, rows: Sequence[Row]) -> str:
    """Return the rows as a Markdown table that is also readable as it is."""
    baselines = _baselines(scenario, rows)
    head = [
        "proxy",
        scenario.figure,
        *(f"ratio to {row.title}" for row in baselines),
        *(column.name for column in scenario.columns),
        "core busy",
        "by others",
    ]
    lines = [head, *(_cells(scenario, row, baselines) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    rule = ["-" * width for width in widths]
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |"
        for line in (head, rule, *lines[1:])
    )


def write_json(scenario: Scenario, rows: Sequence[Row], machine: Mapping[str, str]) -> dict[str, Any]:
    """Return the run as JSON can hold it, each round included."""
    baselines = _baselines(scenario, rows)
    return {
        "scenario": scenario.name,
        "title": scenario.title,
        "figure": scenario.figure,
        "goal": scenario.goal,
        "machine": dict(machine),
        "peers": [
            {
                "name": row.name,
                "version": row.version,
                "figure": asdict(row.figure()),
                "ratios": {baseline.name: asdict(row.ratio(baseline)) for baseline in baselines},
                "rounds": [asdict(sample) for sample in row.samples],
            }
            for row in rows
        ],
    }


def write_warning(rows: Sequence[Row]) -> str:
    """Return a sentence if others had so much of the proxy's core that the figures mean little."""
    others = max(sample.others for row in rows for sample in row.samples)
    if others < _TOLERATED:
        return ""
    return f"Something else used up to {others:.0%} of the proxy's core: repeat this on a quiet machine."


def describe_machine() -> dict[str, str]:
    """Return what the figures depend on: processor, cores, kernel, Python."""
    model = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return {
        "processor": model.group(1) if model else platform.machine(),
        "cores": str(os.cpu_count()),
        "kernel": platform.release(),
        "python": platform.python_version(),
    }


def _baselines(scenario: Scenario, rows: Sequence[Row]) -> list[Row]:
    return [row for name in scenario.baselines for row in rows if row.name == name]


def _cells(scenario: Scenario, row: Row, baselines: Sequence[Row]) -> list[str]:
    also = [
        f"{column.of_rounds([sample.also[column.name] for sample in row.samples]):,.{column.digits}f}"
        for column in scenario.columns
    ]
    return [
        f"{row.title} {row.version}",
        row.figure().text(scenario.digits),
        *(row.ratio(baseline).text(2) for baseline in baselines),
        *also,
        f"{median(sample.busy for sample in row.samples):.0%}",
        f"{median(sample.others for sample in row.samples):.0%}",
    ]
