"""Programs that put load on a proxy, each run by itself on the load core: `python -m generators.NAME`.

A generator reads its job, one line of JSON, from its standard input, gets everything ready, says so, waits
for a line that means go, works, and writes what it counted. generate.py is the other end of that.
"""
