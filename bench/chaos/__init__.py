"""Experiments with slow, hanging and crashing dependencies: `make chaos`."""
