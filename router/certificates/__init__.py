"""Certificates: judged when uploaded, encrypted at rest, ready in use."""
