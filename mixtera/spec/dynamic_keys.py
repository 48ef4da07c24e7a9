"""Keys of `dynamic`: a mixture whose weights follow the training."""

from __future__ import annotations

from typing import Final

from mixtera.spec.section import TEXT, Key, Section

MOST_STEPS: Final = 2**31 - 1
_SHARE: Final = {"type": "number", "minimum": 0, "maximum": 1}
_STEPS: Final = {"type": "integer", "minimum": 1, "maximum": MOST_STEPS}

DYNAMIC: Final = Section(
    "dynamic",
    (
        Key("algorithm", TEXT, "Name of the algorithm, such as ado, odm or loss_average.", required=True),
        Key("options", {"type": "object", "minProperties": 1}, "Options of the algorithm, by name."),
        Key("floor", _SHARE, "The least share of every component, from 0 to 1, whatever the algorithm says."),
        Key("ceiling", _SHARE, "The largest share of every component, from 0 to 1."),
        Key("every", _STEPS, "Weights change at multiples of this many steps. Default: 1."),
        Key("lag", _STEPS, "Steps from one that asks for a fit to the one from which its result counts. Default: 1."),
    ),
    dict.fromkeys(
        ("profile", "eta", "targets", "graph", "decay", "period", "gamma", "window"),
        "it goes into `options`, which are those of the algorithm",
    ),
)
