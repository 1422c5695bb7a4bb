"""Where a warning points: at the line of the user's that led to it, however many functions lie between."""

import os
import sys
from pathlib import Path

_HERE = str(Path(__file__).parent) + os.sep


def caller() -> int:
    """The `stacklevel` of a warning for the first line outside this package and what is installed.

        warnings.warn(message, stacklevel=caller())

    Where there is none, as in a program of an installed package, the line outside this package.
    """
    level, outside = 1, 0
    frame = sys._getframe(1)
    # what checks types may stand between this and the line that warns
    while frame is not None and not frame.f_code.co_filename.startswith(_HERE):
        frame = frame.f_back
    while frame is not None:
        name = frame.f_code.co_filename
        made = name.startswith(("<@", "<frozen")) or (name == "<string>" and frame.f_code.co_name == "__init__")
        if not made and not name.startswith(_HERE):
            if "site-packages" not in name:
                return level
            outside = outside or level
        frame, level = frame.f_back, level + 1
    return outside or 1
