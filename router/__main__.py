"""``python -m router`` and the command ``tenant-router``."""

from __future__ import annotations

import sys

from router.cli.app import main

if __name__ == "__main__":
    sys.exit(main())
