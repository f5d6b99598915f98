"""What operators and load balancers see of a running worker."""
