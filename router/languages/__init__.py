"""What the router says to customers, in their language: which one, its texts, its dates."""
