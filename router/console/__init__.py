"""The console's plane: what operators, and the billing systems that they let in, do from elsewhere.

For now that is the API's first endpoints (api/). Every caller passes one door (access.py), every failure is
told in one form (problems.py).
"""
