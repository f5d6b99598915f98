"""The demo: everything on one machine in one folder, with an own certificate authority and backend."""
