"""Tests: one file per behaviour, in one folder per app."""
