"""Tests of legacy_import."""
