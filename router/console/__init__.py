"""The console's plane: what operators, and the billing systems that they let in, do from elsewhere.

By pages (pages/), with a cookie, or by calls of the API (api/), with a token; both have the same use cases
done (use_cases.py), and one check says who may what (access.py). A failure is a page there, a problem here
(problems.py).
"""
