import dataclasses
import subprocess
import sys

import pytest
import torch
import trial
from sample_cells import Numbers, numbers

from normscope import devices, runner
from normscope.errors import InputError, UnknownNameError
from normscope.options import RunOptions
from normscope.protocol import CPU_ONLY, FixedExperiment, Rows, Scale, cell, known_cell
from normscope.reproduction import Reproduction
from normscope.results import ResultsFolder
from normscope.runner.worker import run_and_store

MODEL = "Pretended GPU"


@cell(name="devices.where", version=1)
def where(config: trial.Number):
    """The device that the cell runs on."""
    rows = Rows()
    rows.add("device", devices.KINDS.index(devices.current().type))
    return rows.table()


@cell(name="devices.counted", version=1, devices=lambda config: CPU_ONLY)
def counted(config: trial.Number):
    """The same for a cell that computes without torch."""
    return where(config)


EXPERIMENT = FixedExperiment(
    id="devices.two", caption="", profiles={scale: trial.TrialProfile(2) for scale in Scale},
    list_cells=lambda profile: [where.cell(trial.Number(0)), counted.cell(trial.Number(0))],
    rules=[], draw=trial.EXPERIMENT.draw, question="", method="",
)  # fmt: skip


@pytest.fixture
def pretended_gpu(monkeypatch):
    """A machine on which torch finds a GPU."""
    monkeypatch.setattr(devices, "is_here", lambda kind: kind != "mps")
    monkeypatch.setattr(devices, "models", lambda kind: [MODEL] if kind == "cuda" else [])


@pytest.fixture
def ran(monkeypatch):
    """Cells run in this process; the fixture lists their devices."""
    begun = []

    def run(plan, store, observer, timeout, engine):
        for key, one in plan.new.items():
            begun.append(one.device)
            run_and_store(known_cell(one.name), one.config, key, store, {}, one.device)
        return {}

    monkeypatch.setattr(runner, "run", run)
    return begun


def test_a_name_that_is_no_device_is_refused_with_the_nearest():
    with pytest.raises(UnknownNameError, match="did you mean cuda"):
        devices.kind_of("cudda")


def test_a_device_that_is_not_there_is_refused_with_those_that_are(monkeypatch):
    monkeypatch.setattr(devices, "is_here", lambda kind: kind != "cuda")
    with pytest.raises(InputError) as refused:
        devices.kind_of("cuda")
    assert str(refused.value) == "torch finds no cuda device on this machine: it has cpu and mps."


@pytest.mark.parametrize(("here", "kind"), [("cpu", "cpu"), ("mps", "mps"), ("cuda", "cuda")])
def test_auto_is_an_accelerator_where_there_is_one(monkeypatch, here, kind):
    monkeypatch.setattr(devices, "is_here", lambda kind: kind in ("cpu", here))
    assert devices.kind_of("auto") == kind


def test_the_cpu_is_found_without_torch():
    words = "from normscope.options import RunOptions; RunOptions(); import sys; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", words], check=True)


def test_outside_of_a_cell_the_device_is_the_cpu():
    with devices.running_on("mps"):
        assert devices.current() == torch.device("mps")
    assert devices.current() == torch.device("cpu")


def settings():
    cuda, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    return (
        cuda.allow_tf32, cudnn.allow_tf32, cudnn.benchmark, cudnn.deterministic,
        torch.are_deterministic_algorithms_enabled(), torch.utils.deterministic.fill_uninitialized_memory,
    )  # fmt: skip


def test_an_accelerator_computes_exactly_and_deterministically_while_a_cell_runs(monkeypatch):
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":16:8")
    before = settings()
    with devices.running_on("cuda"):
        assert settings() == (False, False, False, True, True, False)
    assert settings() == before


def test_nothing_is_set_for_the_cpu():
    before = settings()
    with devices.running_on("cpu"):
        assert settings() == before


@pytest.mark.parametrize(("named", "gpus"), [("2,5", ["2", "5"]), ("", ["0"])])
def test_the_gpus_are_those_that_the_environment_names_or_else_all(monkeypatch, pretended_gpu, named, gpus):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", named)
    assert devices.visible_gpus() == gpus


def test_options_refuse_a_device_that_is_not_there_unless_a_cluster_may_have_it(monkeypatch):
    monkeypatch.setattr(devices, "is_here", lambda kind: kind == "cpu")
    with pytest.raises(InputError, match="torch finds no mps device"):
        RunOptions(device="mps")
    assert RunOptions(device="cuda", engine="ray", ray_address="auto").device == "cuda"


def test_cells_run_on_the_device_and_one_without_torch_on_the_cpu(tmp_path, ran, pretended_gpu):
    options = RunOptions(ResultsFolder(tmp_path), device="auto")
    (result,) = Reproduction([EXPERIMENT], options).run()
    found = result.table.set_index("function")["value"]
    assert found["devices.where"] == devices.KINDS.index("cuda")
    assert found["devices.counted"] == devices.KINDS.index("cpu")
    assert sorted(ran) == ["cpu", "cuda"]


def test_what_is_finished_on_one_device_is_new_on_another(tmp_path, ran, pretended_gpu):
    folder = ResultsFolder(tmp_path)
    kinds = {}
    for device in ("cpu", "cuda", "cpu", "cuda"):
        (result,) = Reproduction([EXPERIMENT], RunOptions(folder, device=device)).run()
        kinds[device] = result.table.set_index("function")["value"]["devices.where"]
    assert ran == ["cpu", "cpu", "cuda"]
    assert kinds == {"cpu": 0.0, "cuda": 1.0}


def test_a_report_says_which_accelerator_computed_and_how_and_nothing_of_the_cpu(
    tmp_path, ran, pretended_gpu
):
    folder = ResultsFolder(tmp_path)
    (result,) = Reproduction([EXPERIMENT], RunOptions(folder)).run()
    assert "device" not in result.settings
    (result,) = Reproduction([EXPERIMENT], RunOptions(folder, device="cuda")).run()
    words = "cuda (Pretended GPU): float32 without TF32, deterministic algorithms"
    assert result.settings["device"] == words
    assert folder.experiment(EXPERIMENT.id).read().metadata.settings["device"] == words


def test_cells_of_two_models_of_a_gpu_are_named(tmp_path, ran, pretended_gpu, monkeypatch):
    def both(profile):
        return [where.cell(trial.Number(start)) for start in range(2)]

    folder = ResultsFolder(tmp_path)
    Reproduction([EXPERIMENT], RunOptions(folder, device="cuda")).run()
    monkeypatch.setattr(devices, "models", lambda kind: ["Another GPU"])
    wider = dataclasses.replace(EXPERIMENT, list_cells=both)
    (result,) = Reproduction([wider], RunOptions(folder, device="cuda")).run()
    assert (
        "Cells of mixed versions: accelerator Another GPU (1 cell) and Pretended GPU (1 cell)."
        in result.notes
    )


def test_what_needs_float64_is_refused_before_anything_runs_on_a_device_without_it(
    tmp_path, ran, monkeypatch
):
    monkeypatch.setattr(devices, "is_here", lambda kind: kind != "cuda")
    reproduction = Reproduction([EXPERIMENT], RunOptions(ResultsFolder(tmp_path), device="mps"))
    with pytest.raises(InputError) as refused:
        reproduction.run()
    assert str(refused.value) == (
        "where computes in float64, which mps devices do not have: run it on cpu or cuda."
    )
    assert ran == []


def test_a_worker_refuses_a_device_that_its_machine_has_not(tmp_path, monkeypatch):
    monkeypatch.setattr(devices, "is_here", lambda kind: kind == "cpu")
    with pytest.raises(InputError, match="torch finds no cuda device"):
        run_and_store(numbers, Numbers(1.0), "a" * 32, ResultsFolder(tmp_path).store, {}, "cuda")


def test_a_gpu_is_named_by_its_kind():
    with pytest.raises(InputError, match=r"cuda .* or mps"):
        devices.kind_of("gpu")
