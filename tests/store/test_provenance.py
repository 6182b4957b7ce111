from sample_cells import Numbers, numbers

from normscope.runner.worker import run_and_store
from normscope.store import Store, mixture
from normscope.store.provenance import Provenance, current_provenance, provenance_of

HERE = Provenance("1.0", "2.13.0", "3.11.7", 1)


def test_cells_that_were_made_alike_need_no_word():
    assert mixture([]) == mixture([HERE]) == mixture([HERE, HERE]) == ""


def test_what_differs_is_named_with_the_number_of_cells():
    newer = HERE._replace(normscope="1.1", threads=4)
    assert mixture([HERE, newer, HERE]) == (
        "Cells of mixed versions: normscope 1.0 (2 cells) and 1.1 (1 cell); threads 1 (2 cells) and 4 (1 cell)."
    )


def test_a_cell_that_ran_without_torch_has_no_threads_to_differ_in():
    assert mixture([HERE, HERE._replace(threads=None)]) == ""


def test_a_cells_file_says_what_it_was_made_with_and_so_does_its_segment(tmp_path):
    store = Store(tmp_path, compact_at=1)
    key = numbers.cell(Numbers(1.0)).key(str)
    run_and_store(numbers, Numbers(1.0), key, store, {"version": 1})
    made = provenance_of(current_provenance())
    assert "unknown" not in made
    assert store.find([key])[key].provenance == made
    store.compact()
    assert store.find([key])[key].provenance is made
