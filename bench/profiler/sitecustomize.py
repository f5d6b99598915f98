"""Profiles a process from start to end: Python imports it by itself where its folder is on PYTHONPATH."""

import atexit
import cProfile
import os

_FILE = f"{os.environ['BENCH_PROFILES']}/{os.getpid()}.pstats"
_profile = cProfile.Profile()
# Last in, first out: registered this early, it is written after everything else has ended.
atexit.register(_profile.dump_stats, _FILE)
_profile.enable()
