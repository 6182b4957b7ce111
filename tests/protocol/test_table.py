import math

import pyarrow as pa
import pytest

from normscope.protocol import COLUMNS, NotJudgedError, Rows, empty_table, select


def rows() -> Rows:
    collected = Rows()
    collected.add("error", 0.5, epoch=1)
    collected.add("error", math.nan, epoch=2)
    collected.add("lambda_max", math.inf, step=5, layer="conv2", channel=0, index=1)
    return collected


def test_rows_have_one_schema_full_or_empty():
    assert rows().table().schema == Rows().table().schema
    assert tuple(rows().table().column_names) == COLUMNS
    assert rows().table().schema.field("value").type == pa.float64()


def test_what_does_not_apply_is_null_and_what_is_not_finite_stays():
    table = rows().table()
    assert table["layer"].to_pylist() == [None, None, "conv2"]
    assert table["value"].null_count == 0
    assert math.isnan(table["value"][1].as_py())
    assert table["value"][2].as_py() == math.inf


def test_an_empty_table_has_the_columns():
    assert tuple(empty_table().columns) == COLUMNS
    assert empty_table().empty


def test_select_gives_the_rows_that_meet_every_condition():
    found = select(rows().table().to_pandas(), measure="error", epoch=1)
    assert found["value"].tolist() == [0.5]


@pytest.mark.parametrize("conditions", [{"measure": "no such"}, {"no_such_column": 1}])
def test_select_says_what_is_missing(conditions):
    (column,) = conditions
    with pytest.raises(NotJudgedError, match=column):
        select(rows().table().to_pandas(), **conditions)
