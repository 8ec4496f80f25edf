"""Tests of mana_credits."""
