"""One module per kind of disturbance. Each defines a tuple `EXPERIMENTS`."""

import pkgutil
from importlib import import_module

from bench.chaos.experiment import Experiment


def load() -> list[Experiment]:
    """Return the experiments of all modules in this folder, ordered by number."""
    found: list[Experiment] = []
    for module in pkgutil.iter_modules(__path__):
        found += import_module(f"{__name__}.{module.name}").EXPERIMENTS
    return sorted(found, key=lambda one: (int(one.number.rstrip("abcdefgh")), one.number))
