"""What the sections of the benchmark of an accelerator share: its settings, results and ceilings, programs by size."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

from experiments.benchmarks.accelerator_settings import Config
from experiments.benchmarks.ledger import Ledger, Row, Section
from experiments.benchmarks.programs import Ceilings, Growth, Program, Programs, measured


@dataclasses.dataclass(frozen=True)
class Case:
    """A program that is measured, of some size in a series of growing ones."""

    series: str
    size: float
    make: Callable[[], Program]
    measure: Callable[[Program], Row]


@dataclasses.dataclass(frozen=True)
class Bench:
    """A run: its settings, its results so far, and the device."""

    config: Config
    ledger: Ledger
    device: Any

    def section(self, name: str, share: float, cases: Mapping[str, Case], power: float = 1.0) -> Section:
        """Of programs compiled together, whose time grows with this power of their size."""
        programs = Programs({label: case.make for label, case in cases.items()})
        sizes: dict[str, dict[str, float]] = {}
        for label, case in cases.items():
            sizes.setdefault(case.series, {})[label] = case.size
        growth = {series: self.growth(name, held) for series, held in sizes.items()}

        def part(label: str, case: Case) -> Row:
            program = programs.take(label)
            return growth[case.series].run(case.size, lambda: case.measure(program), power)

        parts = {label: functools.partial(part, label, case) for label, case in cases.items()}
        return Section(name, share, parts, programs.prepare)

    def growth(self, section: str, sizes: Mapping[str, float]) -> Growth:
        """Of the parts with these sizes, beginning with those that an earlier run measured."""
        before = [(size, self.ledger.part(section, name)) for name, size in sizes.items()]
        known = [(size, row["median"]) for size, row in before if "median" in row]
        return Growth(self.config.longest, max(known, default=None))

    def measured(self, program: Program, sites: int, ceilings: Ceilings | None = None) -> Row:
        """Time, memory and shares of the ceilings (those of the machine unless given)."""
        ceilings = self.ceilings() if ceilings is None else ceilings
        return measured(program, self.config.repeats, sites, ceilings, within=self.within)

    @property
    def within(self) -> float:
        """Seconds of all calls of one program together."""
        return self.config.longest / 2

    def ceilings(self) -> Ceilings:
        """As far as they are measured."""
        rows = [self.ledger.part("machine", f"matrix product, float32, exact, {n}") for n in self.config.matrices]
        rates = [1e12 * row["Tflop a second"] for row in rows if "Tflop a second" in row]
        bandwidth = self.ledger.part("machine", "triad").get("GB a second")
        return Ceilings(None if bandwidth is None else 1e9 * bandwidth, max(rates, default=None))
