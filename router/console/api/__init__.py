"""The API's endpoints, one module a resource: each reads its body by a model and answers by one."""
