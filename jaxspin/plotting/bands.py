"""Electronic bands `(channels, n_k, bands)` along a path."""

from typing import TYPE_CHECKING

from jaxspin.io.wannier import BandPath, WannierHamiltonian
from jaxspin.plotting.style import axes_or_new, figure_of, styled

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.figure

_NAMES = ("up", "down")
# eV on either side of the Fermi level
_AROUND = 10.0


@styled
def plot_bands(
    bands: BandPath | WannierHamiltonian,
    *,
    fermi_level: float | int | None = None,
    window: tuple[float | int, float | int] | None = None,
    ax: "matplotlib.axes.Axes | None" = None,
) -> "matplotlib.figure.Figure":
    """Energies in eV along the path of `hamiltonian.bands_on_path(...)`, or along that of the .win file.

    Up and down have a colour each. `fermi_level`, in eV, is drawn as a line, and energies count from it. `window` is
    the range of energies shown, counted likewise; unless given 10 eV on both sides of the Fermi level at most, or all
    where that is not known: `hamiltonian.fermi_level(electrons, temperature)` finds it.

    Raises `ValueError` for a Hamiltonian without a path.

    Example:
        >>> iron = js.io.read_wannier90(*js.io.example("bcc_iron"))
        >>> figure = js.plotting.plot_bands(iron.bands_on_path(8), fermi_level=12.65, window=(-10, 10))
        >>> [label.get_text() for label in figure.axes[0].get_xticklabels()][:3]
        ['Γ', 'H', 'P']
    """
    if isinstance(bands, WannierHamiltonian):
        bands = bands.bands_on_path()
    zero = 0.0 if fermi_level is None else float(fermi_level)
    ax = axes_or_new(ax, 4.4, 3.2)
    for channel, energies in enumerate(bands.energies):
        lines = ax.plot(bands.distances, energies - zero, color=f"C{channel}", lw=0.9)
        if len(bands.energies) > 1:
            lines[0].set_label(_NAMES[channel])
    for tick in bands.ticks[1:-1]:
        ax.axvline(tick, color="0.8", lw=0.6, zorder=0)
    if fermi_level is not None:
        ax.axhline(0.0, color="0.3", lw=0.7, ls="--")
    ax.set_xticks(bands.ticks, [_greek(label) for label in bands.labels])
    ax.set(xlim=(bands.ticks[0], bands.ticks[-1]))
    if window is None and fermi_level is not None:
        low, high = ax.get_ylim()
        window = max(low, -_AROUND), min(high, _AROUND)
    if window is not None:
        ax.set(ylim=window)
    ax.set(ylabel="energy  (eV)" if fermi_level is None else r"$E - E_F$  (eV)")
    if len(bands.energies) > 1:
        # above the axes, where no band is
        ax.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2, borderaxespad=0.2)
    return figure_of(ax)


def _greek(label: str) -> str:
    return "|".join("Γ" if part.upper() in ("G", "GAMMA", "\\GAMMA", "GM") else part for part in label.split("|"))
