"""The edge: moves bytes and decides."""
