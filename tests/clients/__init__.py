"""Tests of the API's description with client generators and linters."""
