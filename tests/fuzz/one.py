"""``python -m tests.fuzz.one TARGET SECONDS``: fuzz one parser, in this process, until libFuzzer ends it."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["router.edge", "router.hostname"]):  # what guides the search
    from tests.fuzz.targets import TARGETS
from tests.fuzz.seeds import SEEDS

_LONGEST = 20_000


def main(target: str, seconds: str) -> None:
    """Begin with the seeds; a claim that breaks, 5 seconds for one input or 1 GiB is the end of it."""
    with tempfile.TemporaryDirectory() as corpus:
        for number, seed in enumerate(SEEDS[target]):
            (Path(corpus) / str(number)).write_bytes(seed)
        limits = [f"-max_total_time={seconds}", f"-max_len={_LONGEST}", "-timeout=5", "-rss_limit_mb=1024"]
        atheris.Setup([sys.argv[0], corpus, *limits], TARGETS[target])
        atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
