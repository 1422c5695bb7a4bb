"""The figures that `new_figure` makes."""

import io

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

_NOTEBOOK_DPI = 110


class ShownFigure(Figure):
    """A figure of this size, in inches, that notebooks display without pyplot."""

    def __init__(self, width: float | int, height: float | int):
        super().__init__(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(self)

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", dpi=_NOTEBOOK_DPI)
        return buffer.getvalue()
