"""Experiments with slow, stuck and dying neighbours: `make chaos`."""
