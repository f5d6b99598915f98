"""The portal: the customers' pages, in the tenant's own look."""
