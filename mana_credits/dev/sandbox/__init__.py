"""The parts that `make run` adds to the service: an identity provider, users and credits.

For development only. The service does not import this package, and the sandbox does not start with
DEBUG off.
"""
