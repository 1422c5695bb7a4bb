"""The settings of `jaxspin run`, as its files of TOML name them. No arrays."""

import dataclasses


@dataclasses.dataclass(frozen=True, kw_only=True)
class LatticeSettings:
    """On which lattice the spins live."""

    kind: str
    """chain, square, triangular, honeycomb, kagome, cubic, or the name of one with `vectors` and `basis`."""
    cells: tuple[int, ...]
    """Unit cells along each lattice vector."""
    periodic: bool | tuple[bool, ...] = True
    """Periodic or open, along all vectors or each."""
    vectors: tuple[tuple[float, ...], ...] = ()
    """Lattice vectors of another lattice, in lattice constants."""
    basis: tuple[tuple[float, ...], ...] = ()
    """Its sites in a cell."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class StartSettings:
    """The spins at t = 0."""

    texture: str = "random"
    """random, or a name of jaxspin.textures: ferromagnet, neel, spiral, tetrahedral, ..."""
    wavevector: tuple[float, ...] = ()
    """Of a spiral, in inverse lattice constants."""
    radius: float | None = None
    """Of a skyrmion, in lattice constants."""
    tilt: float = 0.0
    """Random tilt added to every spin, rms angle in radians."""
    file: str = ""
    """In place of a texture: a file .ovf, or a run whose last frame is taken."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ElectronSettings:
    """Electrons of the s-d model, solved in every step."""

    coupling: float
    """J, in units of the hopping."""
    hopping: tuple[float, ...] = (1.0,)
    """Of each shell of neighbours, nearest first."""
    filling: float | None = None
    """Electrons per spin-orbital, between 0 and 1; this or the chemical potential."""
    chemical_potential: float | None = None
    """mu, in units of the hopping."""
    temperature: float = 0.05
    """Of the electrons."""
    solver: str = "exact"
    """exact (up to a thousand sites) or kernel_polynomial."""
    tolerance: float | None = None
    """Of kernel polynomials: rms error of the field, 0.01 unless given."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ForceFieldSettings:
    """A learnt field in place of electrons."""

    name: str
    """One of the package (jaxspin info lists them), or the folder of one."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExchangeSettings:
    """E = - sum J S_i . S_j."""

    coupling: tuple[float, ...]
    """J of each shell of neighbours, nearest first."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class AnisotropySettings:
    """E = - K sum (S . axis)^2."""

    strength: float
    """K."""
    axis: tuple[float, ...] = (0.0, 0.0, 1.0)
    """The easy axis for K > 0."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ZeemanSettings:
    """E = - sum h . S."""

    field: tuple[float, ...]
    """h."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class DzyaloshinskiiMoriyaSettings:
    """E = - sum D . (S_i x S_j)."""

    strength: float
    """D."""
    direction: str = "interfacial"
    """interfacial or bulk."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class DynamicsSettings:
    """The Landau-Lifshitz-Gilbert equation."""

    duration: float
    """In hbar/t."""
    step: float | None = None
    """Time step; one that suits the field unless given."""
    damping: float = 0.1
    """Gilbert's alpha."""
    temperature: float = 0.0
    """Of the bath, in units of the hopping."""
    save_every: float | None = None
    """Time between frames; about a hundred frames unless given."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class OutputSettings:
    """What is written, all in one folder."""

    folder: str = "runs/run"
    """New, or with --resume that of a run with the same settings."""
    observables: tuple[str, ...] = dataclasses.field(
        default=("magnetization",), metadata={"choices": "magnetization, energy, chirality, topological_charge"}
    )
    """In observables.csv: magnetization, energy, chirality, topological_charge."""
    figure: bool = True
    """overview.png."""
    film: str = dataclasses.field(default="", metadata={"choices": '"gif", "mp4" and ""'})
    """gif or mp4: film.gif or film.mp4."""
    film_colour: str = dataclasses.field(default="hue", metadata={"choices": '"hue" and "z"'})
    """hue or z."""
    paraview: bool = False
    """run.pvd with a file a frame."""
    ovf: bool = False
    """final.ovf, the last frame."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunSettings:
    """A run: a lattice, what pushes the spins (all that is given adds up), its dynamics, what is kept."""

    lattice: LatticeSettings
    dynamics: DynamicsSettings
    start: StartSettings = dataclasses.field(default_factory=StartSettings)
    electrons: ElectronSettings | None = None
    forcefield: ForceFieldSettings | None = None
    exchange: ExchangeSettings | None = None
    anisotropy: tuple[AnisotropySettings, ...] = ()
    zeeman: ZeemanSettings | None = None
    dzyaloshinskii_moriya: DzyaloshinskiiMoriyaSettings | None = None
    outputs: OutputSettings = dataclasses.field(default_factory=OutputSettings)
    seed: int = 0
    """Of the start and of the noise."""
    double: bool = False
    """Double precision."""

    def __post_init__(self):
        if not 0 <= self.seed < 2**32:
            raise ValueError(f"seed = {self.seed} is not between 0 and 2^32 - 1; write such a number.")


EXAMPLE = """\
# jaxspin run quench.toml: every setting that there is.  Energies in units of the hopping t, times in hbar/t, lengths in
# the lattice constant.  What is commented out may be left out.
seed = 0                      # of the start and of the noise
double = false                # double precision

[lattice]
kind = "triangular"           # chain, square, triangular, honeycomb, kagome, cubic, or a name of yours with
cells = [12, 12]              # vectors = [[1.0, 0.0], [0.0, 2.0]] and basis = [[0.0, 0.0], [0.5, 0.5]]
periodic = true               # or one of true and false along each lattice vector, [true, false]

[start]
texture = "random"            # or ferromagnet, neel, stripe, spiral, one_hundred_twenty, tetrahedral, skyrmion, ...
# wavevector = [0.5236, 0.0]  # of a spiral
# radius = 4.0                # of a skyrmion
# tilt = 0.1                  # random tilt of every spin, in radians
# file = "state.ovf"          # in place of a texture: a file, or the last frame of a run

# What pushes the spins: one or several of the following, which add up.

[forcefield]                  # a learnt field: one of the package (see jaxspin info), or the folder of one
name = "triangular-tetrahedral"

# [electrons]                 # electrons of the s-d model, solved in every step
# coupling = 3.0
# hopping = [1.0]             # of each shell of neighbours
# filling = 0.25              # or chemical_potential = -1.0
# temperature = 0.05
# solver = "exact"            # or "kernel_polynomial", with its
# tolerance = 0.01            # rms error of the field

# [exchange]                  # E = - sum J S_i . S_j
# coupling = [1.0, 0.2]       # of each shell of neighbours

# [[anisotropy]]              # E = - K sum (S . axis)^2
# strength = 0.1
# axis = [0.0, 0.0, 1.0]

# [zeeman]                    # E = - sum h . S
# field = [0.0, 0.0, 0.1]

# [dzyaloshinskii_moriya]     # E = - sum D . (S_i x S_j)
# strength = 0.2
# direction = "interfacial"   # or "bulk"

[dynamics]
duration = 100.0
# step = 1.0                  # the longest that suits the field unless given
damping = 0.5
temperature = 0.001           # of the bath
save_every = 2.0

[outputs]
folder = "runs/quench"
observables = ["magnetization", "chirality"]  # also energy, topological_charge
figure = true                 # overview.png
film = ""                     # "gif" or "mp4"
film_colour = "hue"           # or "z"
paraview = false              # run.pvd, a file a frame
ovf = false                   # final.ovf, the last frame
"""
