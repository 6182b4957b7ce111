"""What is stored with a table about the run that filled it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from normscope.disk.values import is_text, is_text_list, is_text_mapping
from normscope.errors import DamagedError
from normscope.protocol import Scale


@dataclasses.dataclass(frozen=True)
class RunMetadata:
    """What is stored with a table about the run that filled it.

    Attributes:
        scale: the scale of the run.
        settings: the experiment's settings at that scale, in words.
        failures: the cells that failed, each with its error.
        notes: sentences that a reader of the table should know.
        sweep: a user's sweep as :meth:`normscope.sweep.Sweep.to_json` gives it; ``None`` for a paper's experiment.
        data: the data sets that the cells read, with commas between; empty in older tables.
        data_note: as in :class:`normscope.protocol.Result`.
        experiment: the experiment's name; empty in older tables.
    """

    scale: Scale
    settings: Mapping[str, str]
    failures: Mapping[str, str]
    notes: Sequence[str] = ()
    sweep: Mapping[str, Any] | None = None
    data: str = ""
    data_note: str = ""
    experiment: str = ""

    def to_json(self) -> dict[str, Any]:
        """The metadata as JSON values; a paper's experiment has no entry ``sweep``."""
        fields = dataclasses.asdict(self)
        if self.sweep is None:
            del fields["sweep"]
        return fields

    @classmethod
    def from_json(cls, fields: Any) -> RunMetadata:
        """The metadata that :meth:`to_json` gave; entries that this version does not know are ignored.

        Raises:
            DamagedError: when ``fields`` are not such metadata. What is in a sweep is not looked at.
        """
        if not isinstance(fields, dict) or not fields.keys() >= _NEEDED:
            raise DamagedError("its metadata are not those of a run")
        known = {name: fields[name] for name in _CHECKS if name in fields}
        for name, value in known.items():
            if not _CHECKS[name](value):
                raise DamagedError(
                    f"the entry {name!r} of its metadata is of another kind than it was written"
                )
        return cls(**known | {"scale": Scale(known["scale"]), "notes": tuple(known.get("notes", ()))})


_NEEDED = {"scale", "settings", "failures"}
_CHECKS: Mapping[str, Callable[[Any], bool]] = {
    "scale": lambda value: is_text(value) and value in list(Scale),
    "settings": is_text_mapping,
    "failures": is_text_mapping,
    "notes": is_text_list,
    "sweep": lambda value: value is None or isinstance(value, dict),
    "data": is_text,
    "data_note": is_text,
    "experiment": is_text,
}
