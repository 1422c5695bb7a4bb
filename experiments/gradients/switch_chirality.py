"""The cheapest pulse that turns a chiral magnet into its mirror image: shaped by gradients through the electrons.

    python -m experiments.gradients.switch_chirality            # minutes on one core, writes runs/switch_chirality
    python -m experiments.gradients.switch_chirality --smoke    # a minute
    python -m experiments.gradients.switch_chirality --help     # every setting

Four sublattices of a triangular s-d metal at n = 1/4 start along the corners of a tetrahedron, the chirality of every
triangle +4/(3 sqrt3). A uniform field h(t) of three components acts for a given time, at the price of the integral of
h^2, and the chirality is to end at the opposite sign, which costs the same energy. The field pushes through the damping
alone: without it, the energy of the electrons being invariant under rotations of all spins, a uniform field turns them
all alike (Larmor). Its first order moves only the magnetization and the frame; the one mode of finite frequency that
the four sublattices have, the twist towards the coplanar states between the two chiralities, is driven by its square.

The simple pulses are rectangular ones and Gaussians with or without a carrier, over a grid of widths, directions to the
four spins and frequencies in units of that mode's; the shaped one has a free value at every knot, improved by Adam
along the gradient of the chirality after the pulse, taken through the dynamics and the exact electrons. The search is
done on the magnetic cell with `points`^2 wavevectors, which is exactly the lattice of 2 `points` sites a side as long
as every cell does the same. Whether every cell does is then seen on that lattice itself, from tilted spins in a bath.
"""

import dataclasses
import itertools
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxspin as js
from experiments.gradients.switch_chirality_figures import draw
from experiments.stages import Dynamics, Electrons, Resumable, main, open_folder, spins_of
from experiments.stages.checks import check_counts
from experiments.stages.figures import PERFECT_CHIRALITY
from experiments.stages.pulses import Search, cheapest_simple, driven, gaussian, lowered, scaled
from jaxspin.electrons import BlochDiagonalization
from jaxspin.io import provenance, save_json, whole_file
from jaxspin.observables import scalar_chirality

# The perfect order has its four spins along (-1, -1, -1), (-1, 1, 1), (1, -1, 1), (1, 1, -1).
DIRECTIONS = {
    "along a spin": (-1.0, -1.0, -1.0),
    "against a spin": (1.0, 1.0, 1.0),
    "between two spins": (0.0, 0.0, 1.0),
    "along an edge": (1.0, 1.0, 0.0),
    "askew": (1.0, 0.3, -0.5),
}
# Frames are this far apart in time, in units of hbar/t.
EVERY = 5.0


@dataclasses.dataclass(frozen=True)
class Config(Resumable):
    """Settings. Energies in units of the hopping t, times in hbar/t."""

    output: Path = Path("runs/switch_chirality")
    """Folder for `summary.json` and the figure; an existing one is refused."""
    smoke: bool = False
    """Run everything at a tiny size."""
    seed: int = 0
    """Of the noise in the search, of the tilts and of the bath."""
    electrons: Electrons = dataclasses.field(default_factory=Electrons)
    """The model, on the triangular lattice."""
    points: int = 5
    """Wavevectors along each axis: magnetic cells a side of the lattice that the search stands for."""
    motion: Dynamics = dataclasses.field(default_factory=lambda: Dynamics(damping=0.1, step=1.0))
    """Of the spins; half this step changes the chirality after a pulse by less than 0.01."""
    search: Search = dataclasses.field(
        default_factory=lambda: Search(knots=51, below=-0.25, iterations=60, rate=0.01, noise=0.02, bisections=3)
    )
    """What switches is the mean chirality over `wait`: a motion that still passes between both signs averages to about
    zero. A larger rate leaves the neighbourhood of what switches, where slopes are large, and does not come back."""
    wait: float = 50.0
    """Time after it over which the chirality is averaged: most of a period of the twist."""
    settle: float = 600.0
    """Time after it in which the cell comes to rest."""
    widths: tuple[float, ...] = (10.0, 20.0, 40.0, 80.0)
    """Lengths of rectangular pulses."""
    gaussians: tuple[float, ...] = (40.0, 80.0)
    """Four standard deviations of the Gaussians."""
    frequencies: tuple[float, ...] = (0.25, 0.5, 1.0, 1.5, 2.0)
    """Of the carriers, in units of the frequency of the twist."""
    prices: tuple[float, float, int] = (2.0, 7.0, 14)
    """Least, largest and number of the prices at which simple pulses are tried first. What switches at one price may
    turn back again at a higher one, so that steps of more than ten percent miss the cheapest."""
    begin: int = 2
    """The cheapest simple pulses, each of another kind, from which pulses are shaped."""
    ratio: float = 0.9
    """By which the price is lowered first."""
    tries: int = 6
    """Prices tried from each beginning."""
    rotations: int = 64
    """Random orientations of the order, to which the pulse is not fitted."""
    factors: tuple[float, ...] = (1.0, 1.5)
    """Prices in the large lattice, in units of the least price in the cell."""
    starts: int = 2
    """Random starts of each."""
    tilt: float = 0.03
    """Standard deviation of each component by which they differ from the order."""
    bath: float = 2e-4
    """Temperature of the bath of the spins there."""
    rest: float = 100.0
    """Time after the pulse there."""

    def __post_init__(self):
        check_counts(self, "tries", "begin")
        if self.points < 2 or self.electrons.lattice != "triangular":
            raise ValueError("the order repeats on a triangular lattice of two points at least; see --help.")
        if not self.motion.damping > 0:
            raise ValueError("without damping a uniform field turns all spins alike; use 0.1.")
        # at the size of the smoke test nothing switches in time: there any motion counts
        if not -PERFECT_CHIRALITY < self.search.below < (PERFECT_CHIRALITY if self.smoke else 0):
            raise ValueError("search.below lies between the chirality -0.77 of the mirror image and 0; use -0.25.")
        for time in (self.search.duration, self.wait, self.settle, self.rest):
            if not time > 0 or abs(time / EVERY - round(time / EVERY)) > 1e-6:
                raise ValueError(f"duration, wait, settle and rest must be multiples of {EVERY:g}, got {time}.")


def smoke_size(config: Config) -> Config:
    """The same in a minute."""
    return dataclasses.replace(
        config,
        points=3,
        search=dataclasses.replace(config.search, duration=30.0, knots=7, below=0.6, iterations=2, bisections=1),
        wait=10.0,
        settle=50.0,
        widths=(20.0,),
        gaussians=(30.0,),
        frequencies=(0.5,),
        prices=(2.0, 50.0, 4),
        begin=1,
        tries=1,
        rotations=2,
        factors=(1.0,),
        starts=1,
        rest=5.0,
    )


def run(config: Config) -> dict[str, Any]:
    """The least prices, the pulses that reach them and what they do; returns what `summary.json` holds."""
    config = smoke_size(config) if config.smoke else config
    folder = open_folder(config)
    cell = Cell(config)
    resonance = twist(config)
    print(f"the twist has frequency {resonance:.4f}", flush=True)
    names, shapes = simple_shapes(config, resonance)
    prices, shaped, price = searched(config, folder, cell, names, shapes)
    best = int(np.argmin(prices))
    pulses = {
        "shaped": scaled(shaped, price, config.search.duration),
        "best simple": scaled(shapes[best], prices[best], config.search.duration),
        "best simple, at the price of the shaped one": scaled(shapes[best], price, config.search.duration),
    }
    chirality = {name: np.asarray(cell.history(pulse)) for name, pulse in pulses.items()}
    summary = {
        "price of the shaped pulse": price,
        "price of the best simple pulse": prices[best],
        "shaped over simple": price / prices[best],
        "best simple pulse": names[best],
        "simple pulses": len(names),
        "of which switch": int(np.sum(np.isfinite(prices))),
        "cheapest of each kind": of_kind(names, prices),
        "frequency of the twist": resonance,
        "largest field": {name: float(jnp.max(jnp.linalg.norm(p, axis=-1))) for name, p in pulses.items()},
        "chirality after the pulse": {name: float(np.mean(cell.after(c))) for name, c in chirality.items()},
        "chirality at rest": {name: float(c[-1]) for name, c in chirality.items()},
        "random orientations that switch": {name: cell.turned(pulses[name]) for name in ("shaped", "best simple")},
        "domains": domains(config, folder, pulses),
        "prices of simple pulses": dict(zip(names, prices.tolist(), strict=True)),
        "provenance": provenance(config, config.seed),
    }
    draw(folder / "switch_chirality.png", (config.search.duration, EVERY), pulses, chirality, summary)
    save_json(folder / "summary.json", summary)
    return summary


def repeated(config: Config) -> BlochDiagonalization:
    """The electrons over a repeated cell of four sites."""
    return BlochDiagonalization(config.electrons.exact(2), config.points, even=True)


class Cell:
    """What a pulse `(knots, 3)` does to the four sublattices."""

    def __init__(self, config: Config):
        self.config = config
        field = repeated(config)
        start = js.textures.tetrahedral(field.lattice)

        def chirality(pulse: jax.Array, spins: jax.Array, wait: float) -> jax.Array:
            run = js.simulate(
                driven(field, pulse, config.search.duration),
                spins,
                duration=config.search.duration + wait,
                step=config.motion.step,
                damping=config.motion.damping,
                save_every=EVERY,
                throw=False,
            )
            return jax.vmap(lambda s: jnp.mean(scalar_chirality(field.lattice, s)))(spins_of(run))

        def outcome(pulse, spins):
            return jnp.mean(self.after(chirality(pulse, spins, config.wait)))

        self.start = start
        self.history = jax.jit(lambda pulse: chirality(pulse, start, config.settle))
        self.outcome = lambda pulse: outcome(pulse, start)
        self.final = jax.jit(jax.vmap(self.outcome))
        self.slope = jax.jit(jax.value_and_grad(self.outcome))
        self.outcomes = jax.jit(jax.vmap(outcome, in_axes=(None, 0)))

    def after(self, chirality):
        """The part of the frames that lies in the `wait` after the pulse."""
        first = round(self.config.search.duration / EVERY)
        return chirality[first : first + round(self.config.wait / EVERY) + 1]

    def turned(self, pulse: jax.Array) -> float:
        """The share of random orientations of the order in which the pulse switches it."""
        keys = jax.random.split(jax.random.key(self.config.seed), self.config.rotations)
        frames, _ = jnp.linalg.qr(jax.vmap(lambda k: jax.random.normal(k, (3, 3)))(keys))
        frames = frames * jnp.linalg.det(frames)[:, None, None]
        found = self.outcomes(pulse, jnp.einsum("rab,...b->r...a", frames.astype(pulse.dtype), self.start))
        return float(jnp.mean(found < self.config.search.below))


def twist(config: Config) -> float:
    """The frequency of the one mode that the four sublattices have: the peak of its spectrum.

    The spins are let go a little off the order without damping; S_i . S_j does not see the motion of the frame.
    """
    field = repeated(config)
    start = js.textures.tetrahedral(field.lattice)
    tilted = js.normalize(start + 0.01 * jax.random.normal(jax.random.key(config.seed), start.shape, start.dtype))
    run = js.simulate(field, tilted, duration=1000.0, step=config.motion.step, damping=0.0, save_every=EVERY)
    spins = np.asarray(spins_of(run), float).reshape(len(run.times), -1, 3)
    bonds = np.stack([np.sum(spins[:, i] * spins[:, j], -1) for i, j in itertools.combinations(range(4), 2)], -1)
    window = np.hanning(len(bonds))[:, None]
    power = np.sum(np.abs(np.fft.rfft((bonds - bonds.mean(0)) * window, 8 * len(bonds), axis=0)) ** 2, -1)
    frequency = 2 * np.pi * np.fft.rfftfreq(8 * len(bonds), EVERY)
    return float(frequency[np.argmax(power)])


def simple_shapes(config: Config, resonance: float) -> tuple[list[str], jax.Array]:
    """Rectangular pulses and Gaussians, along named directions or with a carrier."""
    t = config.search.times
    unit = {name: np.array(d) / np.linalg.norm(d) for name, d in DIRECTIONS.items()}
    found: dict[str, np.ndarray] = {}
    for name, direction in unit.items():
        for width in config.widths:
            found[f"rectangular, {width:g} long, {name}"] = (t <= width)[:, None] * direction
        for width in config.gaussians:
            found[f"Gaussian, {width:g} wide, {name}"] = gaussian(t, width)[:, None] * direction
    for width, ratio in itertools.product(config.gaussians, config.frequencies):
        envelope, turn = gaussian(t, width)[:, None], ratio * resonance * (t - t[-1] / 2)[:, None]
        for name in ("along a spin", "between two spins", "along an edge"):
            title = f"linear carrier, {width:g} wide, {name}, {ratio:g} of the twist"
            found[title] = envelope * np.cos(turn) * unit[name]
        for name in ("along a spin", "between two spins"):
            axis = unit[name]
            u = np.cross(axis, unit["along an edge"] if name == "between two spins" else (1.0, -1.0, 0.0))
            u = u / np.linalg.norm(u)
            v = np.cross(axis, u)
            for sense, sign in (("clockwise", -1), ("counter-clockwise", 1)):
                title = f"rotating carrier, {width:g} wide, {sense} about the axis {name}, {ratio:g} of the twist"
                found[title] = envelope * (np.cos(turn) * u + sign * np.sin(turn) * v)
    return list(found), jnp.asarray(np.stack(list(found.values())), jnp.result_type(float))


def of_kind(names: list[str], prices: np.ndarray) -> dict[str, dict[str, Any]]:
    """The cheapest of each kind, which is the first word of a name."""
    found = {}
    for number in np.argsort(prices, kind="stable"):
        kind = names[number].split(",")[0]
        found.setdefault(kind, {"pulse": names[number], "price": float(prices[number])})
    return found


def searched(
    config: Config, folder: Path, cell: Cell, names: list[str], shapes: jax.Array
) -> tuple[np.ndarray, jax.Array, float]:
    """The least prices of the simple shapes, the shaped pulse and its price; read back where they are in the folder."""
    search, key = config.search, jax.random.key(config.seed)
    first, last, number = config.prices
    path = folder / "simple.npy"
    if not path.exists():
        found = cheapest_simple(search, cell.final, shapes, np.geomspace(first, last, number))
        with whole_file(path) as partial:
            np.save(partial, found)
    prices = np.load(path)
    if not np.isfinite(prices.min()):
        raise ValueError(f"no simple pulse switches at a price up to {last:g}; raise the prices.")
    shaped, price = shapes[int(np.argmin(prices))], float(prices.min())
    kinds = [kind for kind in of_kind(names, prices).values() if np.isfinite(kind["price"])]
    for number, kind in enumerate(kinds[: config.begin]):
        path = folder / f"shaped_{number}.npz"
        if not path.exists():
            print(f"from the simple pulse {kind['pulse']}, price {kind['price']:.4g}", flush=True)
            begin = shapes[names.index(kind["pulse"])]
            found, least = lowered(search, cell.slope, begin, kind["price"], config.ratio, config.tries, key=key)
            with whole_file(path) as partial:
                np.savez(partial, shape=np.asarray(found), price=least)
        with np.load(path) as kept:
            if float(kept["price"]) < price:
                shaped, price = jnp.asarray(kept["shape"]), float(kept["price"])
    print(f"shaped pulse: price {price:.4g}", flush=True)
    return prices, shaped, price


def domains(config: Config, folder: Path, pulses: dict[str, jax.Array]) -> list[dict[str, Any]]:
    """What the pulses do to a lattice in which every spin moves by itself, from random starts in a bath."""
    field = config.electrons.exact(2 * config.points)
    lattice, order = field.lattice, js.textures.tetrahedral(field.lattice)

    @jax.jit
    def chirality(pulse, start, key):
        run = js.simulate(
            driven(field, pulse, config.search.duration),
            start,
            duration=config.search.duration + config.rest,
            step=config.motion.step,
            damping=config.motion.damping,
            temperature=config.bath,
            key=key,
            save=lambda _, spins: scalar_chirality(lattice, spins),
            save_every=EVERY,
            throw=False,
        )
        return run.saved

    rows = []
    for name, factor, number in itertools.product(("shaped", "best simple"), config.factors, range(config.starts)):
        path = folder / f"domain_{name.replace(' ', '_')}_{factor:g}_{number}.npy"
        if not path.exists():
            tilt, bath = jax.random.split(jax.random.fold_in(jax.random.key(config.seed), number))
            start = js.normalize(order + config.tilt * jax.random.normal(tilt, order.shape, order.dtype))
            found = np.asarray(chirality(pulses[name] * factor**0.5, start, bath), np.float32)
            with whole_file(path) as partial:
                np.save(partial, found)
        found = np.load(path)
        rows.append(
            {
                "pulse": name,
                "price over the least": factor,
                "start": number,
                "chirality": found.mean(axis=(1, 2, 3)),
                "part that switched": float(np.mean(found[-1] < -PERFECT_CHIRALITY / 2)),
                "part that stayed": float(np.mean(found[-1] > PERFECT_CHIRALITY / 2)),
            }
        )
        print(f"{name}, {factor:g}, start {number}: {rows[-1]['part that switched']:.2f} switched", flush=True)
    return rows


if __name__ == "__main__":
    main(Config, run, __doc__)
