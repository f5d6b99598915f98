"""The same commands through the API of a router elsewhere: ``tenant-router --server URL …``.

A command is parsed as ever. With ``--server``, what commands.py names for it is done instead, by client.py.
"""
