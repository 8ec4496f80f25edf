"""What `make run` adds to the service for a newcomer: an identity provider, users, credits.

Development only: nothing of the service imports it, and it refuses to start with DEBUG off.
"""
