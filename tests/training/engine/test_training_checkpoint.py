import signal
from pathlib import Path

import pytest
import torch
from torch import nn

from oodseg.core.errors import ConfigError
from oodseg.core.input_warnings import InputWarning
from oodseg.training.engine.loop import run_training
from oodseg.training.engine.module import TrainingModule
from oodseg.training.engine.recipe import LoopRecipe
from oodseg.training.engine.resumption import goes_on

RECIPE = LoopRecipe(max_steps=4, batch_size=2, warmup_steps=0, workers=0, precision="32-true")
EVERY_STEP = RECIPE.model_copy(update={"checkpoint_minutes": 1e-9})


class Stopped(TrainingModule):
    """Learns a line; is interrupted at a step, as by Ctrl-C."""

    def __init__(self, recipe: LoopRecipe, at: int | None = None, inputs: int = 2) -> None:
        super().__init__(recipe, nn.Linear(inputs, 1), lambda number: torch.full((inputs,), float(number)))
        self._at = at

    def training_step(self, batch: torch.Tensor, batch_index: int) -> torch.Tensor:
        if self.trainer.global_step == self._at:
            raise KeyboardInterrupt
        loss: torch.Tensor = self.network(batch).square().mean()
        return loss


def test_ctrl_c_says_where_the_training_goes_on(tmp_path: Path) -> None:
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt, match="goes on at step 2 of 4, that of the last checkpoint"):
        run_training(EVERY_STEP, lambda: Stopped(EVERY_STEP, at=2), tmp_path)
    assert signal.getsignal(signal.SIGINT) is handler
    assert torch.load(tmp_path / "last.ckpt", weights_only=True)["global_step"] == 2
    with pytest.raises(KeyboardInterrupt, match="goes on at step 2 of 4"):
        run_training(RECIPE, lambda: Stopped(RECIPE, at=3), tmp_path)


def test_ctrl_c_before_the_first_checkpoint_says_so(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt, match="begins anew, as there was no checkpoint yet"):
        run_training(RECIPE, lambda: Stopped(RECIPE, at=1), tmp_path)


def test_other_settings_are_said_where_a_training_goes_on(
    tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    run_training(RECIPE, lambda: Stopped(RECIPE), tmp_path)
    longer = RECIPE.model_copy(update={"max_steps": 5})
    run_training(longer, lambda: Stopped(longer), tmp_path)
    assert not [each for each in recwarn if each.category is InputWarning]
    other = longer.model_copy(update={"max_steps": 6, "seed": 3})
    with pytest.warns(InputWarning, match=r"made with other settings \(seed 0 to 3\) and the training"):
        run_training(other, lambda: Stopped(other), tmp_path)


def test_nothing_is_said_where_the_caller_has_looked_at_the_settings(
    tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    goes_on(tmp_path, ["what matters"])
    run_training(RECIPE, lambda: Stopped(RECIPE), tmp_path)
    other = RECIPE.model_copy(update={"max_steps": 6, "seed": 3})
    run_training(other, lambda: Stopped(other), tmp_path)
    assert not [each for each in recwarn if each.category is InputWarning]


def test_a_checkpoint_of_another_network_is_refused(tmp_path: Path) -> None:
    run_training(RECIPE, lambda: Stopped(RECIPE), tmp_path)
    with pytest.raises(ConfigError, match=r"holds a training of another network \(network\.weight\)"):
        run_training(RECIPE, lambda: Stopped(RECIPE, inputs=3), tmp_path)
    run_training(RECIPE, lambda: Stopped(RECIPE, inputs=3), tmp_path, resume=False)


@pytest.mark.parametrize("kept", [0, 1000])
def test_a_damaged_checkpoint_is_refused(tmp_path: Path, kept: int) -> None:
    run_training(RECIPE, lambda: Stopped(RECIPE), tmp_path)
    path = tmp_path / "last.ckpt"
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(ConfigError, match=r"last\.ckpt is not a complete checkpoint: delete it"):
        run_training(RECIPE, lambda: Stopped(RECIPE), tmp_path)
