"""Results whose texts are harmless on a terminal: names and errors in them may come from anybody."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING

from normscope.errors import printable
from normscope.report.scorecard import as_number

if TYPE_CHECKING:
    from normscope.protocol import Claim, Result

_sentence = functools.partial(printable, keep="\t\n\r")  # sentences are broken into lines at any white space


def printable_result(result: Result) -> Result:
    """The result with every text that the scorecard shows made :func:`~normscope.errors.printable`."""
    return dataclasses.replace(
        result,
        id=printable(result.id),
        claims=tuple(map(_printable_claim, result.claims)),
        failures={cell: _sentence(error) for cell, error in result.failures.items()},
        notes=tuple(map(_sentence, result.notes)),
        data_note=_sentence(result.data_note),
    )


def _printable_claim(claim: Claim) -> Claim:
    return dataclasses.replace(
        claim,
        id=printable(claim.id),
        text=_sentence(claim.text),
        source=_sentence(claim.source),
        expected=_sentence(claim.expected),
        reason=_sentence(claim.reason),
        measured=_printable_numbers(claim.measured),
        published=_printable_numbers(claim.published),
        comparisons=[dataclasses.replace(one, name=printable(one.name)) for one in claim.comparisons],
    )


def _printable_numbers(numbers: Mapping[str, float]) -> dict[str, float]:
    return {printable(name): as_number(value) for name, value in numbers.items()}
