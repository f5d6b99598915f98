"""What writes files of the tree that nobody writes by hand."""
