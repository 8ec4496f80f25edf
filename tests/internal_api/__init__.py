"""Tests of internal_api."""
