import pytest

from normscope.report.scorecard import measured_numbers, verdict


def test_verdicts_in_words():
    verdicts = [verdict({"holds": holds}) for holds in (True, False, None)]
    assert verdicts == ["holds", "does not hold", "not judged"]


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("a", 0.123456, "0.1235"),
        ("a", 1.0, "1"),
        ("a", -0.00012345, "−0.0001234"),
        ("a", 12345.678, "12,346"),
        ("a", 999_999.6, "1×10⁶"),
        ("a", 1.2344e-9, "1.234×10⁻⁹"),
        ("a", 0, "0"),
        ("a", "inf", "∞"),
        ("a", "-inf", "−∞"),
        ("a", "nan", "NaN"),
        ("error Baseline", 0.0375, "3.75 %"),
        ("error Baseline", 0.9, "90 %"),
        ("accuracy", 1, "100 %"),
        ("error Baseline / BatchNorm", 0.5, "0.5"),
        ("errors", 0.5, "0.5"),
        ("", 0.5, "0.5"),
    ],
)
def test_numbers_in_words_have_four_digits_and_shares_are_in_percent(name, value, words):
    assert measured_numbers({name: value}) == [(name, words.replace(" ", "\N{NO-BREAK SPACE}"))]
