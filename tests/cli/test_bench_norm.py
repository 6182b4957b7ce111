import pytest


def test_it_prints_a_ratio_for_every_shape_also_for_a_users_own_norm(normscope, tmp_path):
    (tmp_path / "mine.py").write_text("import torch\nclass Mine(torch.nn.BatchNorm2d):\n    pass\n")
    run = normscope("bench-norm", "suppress(threshold=2)", "mine:Mine", "--budget", "0.01", cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    rows = {line.split("  ")[0]: line for line in run.stdout.splitlines()}
    assert rows["suppress(threshold=2)"].count("×") == 4
    assert rows["mine:Mine"].count("×") == 4
    assert rows["nn.BatchNorm2d"].count(" ms") == 4


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["supress"], "did you mean suppress"),
        (["suppress(treshold=2)"], "threshold"),
        (["nosuch.module:Norm"], "cannot be imported"),
        (["batch", "--threads", "0"], "1 or more"),
        (["batch", "--budget", "0"], "positive"),
        (["group(groups=5)"], "5"),
        (["broken_norm:Broken"], "RuntimeError: boom"),
    ],
    ids=str,
)
def test_bad_input_gets_one_line_and_exit_two(command, tmp_path, arguments, words):
    (tmp_path / "broken_norm.py").write_text(
        "class Broken:\n    def __init__(self, C):\n        raise RuntimeError('boom')\n"
    )
    status, output, errors = command("bench-norm", *arguments, cwd=tmp_path)
    assert (status, output) == (2, "")
    assert words in errors
    assert len(errors.strip().splitlines()) == 1
