"""``python -m tests.fuzz SECONDS [TARGET ...]``: look for octets that break a claim, with atheris.

Each target is fuzzed in a process of its own, because libFuzzer ends the one it runs in. What broke a claim
is left in ``crash-*`` files beside you, and the exit code is not zero.
"""

from __future__ import annotations

import subprocess
import sys

from tests.fuzz.targets import TARGETS


def main(seconds: str, *targets: str) -> int:
    """Fuzz every target named, or all; answer the exit code."""
    broken = []
    for target in targets or sorted(TARGETS):
        print(f"{target}: {seconds} s", flush=True)  # noqa: T201 - it says what it does
        command = [sys.executable, "-m", "tests.fuzz.one", target, seconds]
        if subprocess.run(command, check=False).returncode:  # noqa: S603 - ourselves
            broken.append(target)
    print("A claim was broken by: " + ", ".join(broken) if broken else "Every claim held.")  # noqa: T201
    return bool(broken)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
