import os
import subprocess
import sys

import pytest
import several_processes
import torch

from oodseg.core.errors import ConfigError
from oodseg.training.engine.loop import run_training
from oodseg.training.engine.recipe import LoopRecipe
from oodseg.training.engine.stream import Share, stream_loader


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="two processes without a GPU")
def test_two_processes_learn_what_one_learns(tmp_path):
    one = several_processes.train(tmp_path / "one", devices=1)
    done = subprocess.run(
        [sys.executable, several_processes.__file__, str(tmp_path / "two")],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "MEMBER: 2/2" in done.stdout + done.stderr
    alone, together = several_processes.curve(tmp_path / "one"), several_processes.curve(tmp_path / "two")
    assert len(alone) == 30
    assert sum(alone[-10:]) < 0.8 * sum(alone[:10])
    assert together == pytest.approx(alone, rel=1e-3)
    averaged = torch.load(tmp_path / "two" / "averaged.pt", weights_only=True)
    for name, value in one.state_dict().items():
        assert torch.allclose(value, averaged[name], atol=1e-4), name


@pytest.mark.parametrize("workers", [0, 2])
def test_the_processes_share_every_batch(workers):
    def batches(share):
        loader = iter(stream_loader(lambda index: index, 4, start=8, workers=workers, share=share))
        return [next(loader).tolist() for _ in range(3)]

    first, second = batches(Share(0, 2)), batches(Share(1, 2))
    assert first == [[8, 10], [12, 14], [16, 18]]
    assert second == [[9, 11], [13, 15], [17, 19]]


def test_a_batch_that_is_made_whole_is_shared_too():
    def make(number):
        return torch.arange(4) + number, torch.zeros(4, 2)

    loader = iter(stream_loader(make, None, workers=0, share=Share(1, 2)))
    numbers, zeros = next(loader)
    assert numbers.tolist() == [1, 3]
    assert zeros.shape == (2, 2)
    with pytest.raises(ConfigError, match="4 samples cannot be split over 5 processes"):
        Share(0, 5).of(make(0))


def test_batches_that_cannot_be_split_evenly_are_refused(tmp_path):
    recipe = LoopRecipe(max_steps=1, batch_size=6, devices=2, num_nodes=2)
    with pytest.raises(ConfigError, match="6 samples cannot be split evenly over 4 processes"):
        run_training(recipe, lambda: None, tmp_path)


def test_strategies_that_lose_the_weights_are_no_entry():
    with pytest.raises(ValueError, match="strategy"):
        LoopRecipe(max_steps=1, strategy="ddp_spawn")
