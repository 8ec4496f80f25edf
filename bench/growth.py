"""Comparison of two services, one on a small and one on a large ledger, loaded in turn."""

from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import NamedTuple

from bench import chores, database, load
from bench.chores import Chore, Size
from bench.load import SCENARIOS, Run
from bench.service import serving
from mana_credits.dev.sandbox.identity import IdentityProvider

CONNECTIONS = 16
ROUNDS = 3
OF_ONE_USER = 100_000
COMPARED = ("use", "use-hot", "balance", "balance-token", "transactions")


class Growth(NamedTuple):
    """The result: scenarios on both ledgers; commands and row sizes of the large one."""

    comparisons: list["Comparison"]
    chores: list[Chore]
    sizes: list[Size]


class Comparison(NamedTuple):
    """The runs of one scenario on the small and the large ledger, by round."""

    title: str
    small: list[Run]
    large: list[Run]

    @property
    def cpu_ratio(self) -> float:
        """Return the CPU time per request, large ledger divided by small (medians)."""
        return median(run.cpu for run in self.large) / median(run.cpu for run in self.small)

    @property
    def rate_ratio(self) -> float:
        """Return the request rate, large ledger divided by small (medians)."""
        return median(run.rate for run in self.large) / median(run.rate for run in self.small)


def compare(
    server_url: str, provider: IdentityProvider, *, transactions: int, seconds: float, logs: Path
) -> Growth:
    """Add transactions to one of two databases, and load both in turn for 3 rounds.

    The runs alternate because the machine's speed varies: only adjacent runs are comparable.
    """
    with ExitStack() as stack:
        small = stack.enter_context(database.database(server_url, "small"))
        large = stack.enter_context(database.database(server_url, "large"))
        print(f"Adding {transactions:,} transactions …", flush=True)
        database.grow(large, transactions=transactions, of_one_user=OF_ONE_USER)
        # Both databases start from the same state.
        database.vacuum(small)
        services = [
            stack.enter_context(serving(url, provider, log=logs / f"{name}.log"))
            for name, url in (("small", small), ("large", large))
        ]
        found = [Comparison(SCENARIOS[name].title, [], []) for name in COMPARED]
        for turn in range(ROUNDS):
            for name, comparison in zip(COMPARED, found, strict=True):
                order = [(services[0], comparison.small), (services[1], comparison.large)]
                for service, runs in order if turn % 2 == 0 else reversed(order):
                    runs.append(
                        load.run(SCENARIOS[name], service, connections=CONNECTIONS, seconds=seconds)
                    )
                print(
                    f"round {turn + 1}: {comparison.title}: "
                    f"CPU {comparison.small[-1].cpu:.3f} → {comparison.large[-1].cpu:.3f}",
                    flush=True,
                )
        # The first command on the large ledger checks its books and raises if they do not close.
        if not database.books_close(small):
            raise SystemExit("The books do not close.")
        return Growth(found, chores.measure(large), chores.sizes(large))
