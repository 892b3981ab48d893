"""The paper's claim that any detector's scores become masks (S2M, Tables 1, 4, 7, 8 and 9), as a command.

    python benchmarks/generality.py --data DATA --out FOLDER [--detectors energy,pebal,rpl] [--reuse pebal]

Around one frozen segmenter it fits the scores of its logits and teaches the methods that learn from outliers;
trains a prompt generator on each detector's scores alone; and measures, on every set of DATA/benchmarks_dev,
the detector at its best threshold, S2M on it with that generator, and S2M on it with the generator of the
detector that `--reuse` names, or with that of `--pipeline` (Table 9; scores are brought to one scale by each
detector's statistics, no factor is set by hand). With `--only-reused` no generator is trained. Masks are
those of `--pipeline`. Figures are those of the released metric (preset
`code`), in percent: AuIoU / IoU / mean F1, the IoU threshold-free for S2M and best-threshold for detectors.

Everything lands in FOLDER and is taken from there the next time; steps, seeds and hours are printed along.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from oodseg import S2M
from oodseg.core.files import write_json
from oodseg.core.parts import Detector, Segmenter, statistics_of
from oodseg.core.progress import progress_bar
from oodseg.detectors.logit import LogitDetector
from oodseg.evaluation import evaluate_folder
from oodseg.training.engine.changes import change_recipe
from oodseg.training.engine.recipe import Recipe, load_recipe
from oodseg.training.engine.trained import load_trained, read_metrics, save_trained
from oodseg.training.exposure.methods import METHODS
from oodseg.training.exposure.run import segmenter_of
from oodseg.training.exposure.run import train as train_detector
from oodseg.training.ordinary import fit_to_streets
from oodseg.training.prompt_recipe import PromptRecipe
from oodseg.training.prompts import train as train_prompts
from oodseg.training.score_source import DetectorScores

SCORES = ("msp", "entropy", "energy", "sml", "mahalanobis")
ON_FEATURES = tuple(name for name in METHODS if name not in ("mask2anomaly", "rba"))
SCORE_ONLY = ("features=false", "zoomed_sizes=[]")
ROWS = {"detector": "iou_best", "own": "iou_threshold_free", "reused": "iou_threshold_free"}


class Study:
    """The detectors of a run, their generators and their figures.

    Args:
        options: Of the command.
        segmenter: What stays the same under all of them.
    """

    def __init__(self, options: argparse.Namespace, segmenter: Segmenter) -> None:
        self.options, self.segmenter = options, segmenter
        self.results: dict[str, dict[str, Any]] = {}
        self._file = options.out / "generality.json"
        if self._file.is_file():
            self.results = json.loads(self._file.read_text(encoding="utf-8"))

    def detector(self, name: str) -> Detector:
        """Takes a detector from its run, or fits or teaches it."""
        run = self.options.out / name / "detector"
        if not (run / "metrics.json").is_file():
            run.mkdir(parents=True, exist_ok=True)
            if name in METHODS:
                recipe = load_recipe(f"detector_{name}", METHODS[name].recipe_class)
                changed = change_recipe(recipe, [f"seed={self.options.seed}", *self.options.detector_set])
                with progress_bar() as bar:
                    train_detector(name, changed, self.options.data, run, self.segmenter, progress=bar)
            else:
                fitted = LogitDetector(self.segmenter, name)
                fit_to_streets(fitted, self.options.data)
                buffers = {each for each, _ in fitted.named_buffers()}
                save_trained(run, "detector", fitted, Recipe(seed=self.options.seed), {}, exact=buffers)
        found: Detector = load_trained(run, "detector")
        statistics_of(found)
        return found

    def generator(self, name: str) -> Any:
        """Takes the generator of a detector's scores from its run, or trains it; or that of the pipeline."""
        if name == "pipeline":
            return S2M.from_pretrained(self.options.pipeline).prompts
        run = self.options.out / name / "prompts"
        if not (run / "metrics.json").is_file():
            changes = [f"seed={self.options.seed}", *SCORE_ONLY, *self.options.prompts_set]
            recipe = change_recipe(load_recipe("prompts", PromptRecipe), changes)
            self._share_scenes(run)
            with progress_bar() as bar:
                source = DetectorScores(self.detector(name))
                train_prompts(recipe, self.options.data, run, source, progress=bar)
        return load_trained(run, "prompts")

    def measure(self, name: str, sets: Iterable[Path]) -> None:
        """Fills the figures of a detector, set by set."""
        known = self.results.setdefault(name, {})
        generators = {"reused": self.options.reuse}
        if not self.options.only_reused:
            generators = {"own": name, **generators}
        for row, whose in generators.items():
            missing = [each for each in sets if row not in known.get(each.name, {})]
            if not missing:
                continue
            detector, prompts = self.detector(name), self.generator(whose)
            pipeline = S2M.from_pretrained(self.options.pipeline, detector=detector, prompts=prompts)
            for each in missing:
                found = evaluate_folder(each, pipeline)
                rows = {"detector": found["detector"], row: found["pipeline"]}
                known.setdefault(each.name, {}).update(
                    {
                        key: [figures["auiou"], figures[ROWS[key]], figures["mean_f1"]]
                        for key, figures in rows.items()
                    }
                )
                known[each.name]["auprc"] = found["detector"]["auprc"]
                write_json(self._file, self.results, indent=1)

    def _share_scenes(self, run: Path) -> None:
        """Lets a generator learn on the scenes that are there already: they depend on no detector."""
        run.mkdir(parents=True, exist_ok=True)
        for split in ("scenes-train", "scenes-val"):
            shared = self.options.out / split
            shared.mkdir(exist_ok=True)
            if not (run / split).exists():
                (run / split).symlink_to(shared.resolve(), target_is_directory=True)


def tables(study: Study, names: Sequence[str], sets: Sequence[str], console: Console) -> None:
    """Prints one table per set and one of the means."""
    shown = {
        "detector": "at its best threshold",
        "own": "S2M",
        "reused": f"S2M, generator of {study.options.reuse}",
    }
    if study.options.only_reused:
        del shown["own"]
    means: dict[str, dict[str, list[float]]] = {}
    for title in [*sets, "mean"]:
        table = Table(title=f"{title}: AuIoU / IoU / mean F1, %", title_justify="left")
        for head in ("detector", "AuPRC", *shown.values()):
            table.add_column(head)
        for name in names:
            each = study.results[name]
            chosen = [each[one] for one in (sets if title == "mean" else [title])]
            rows = {
                row: [statistics.mean(values) for values in zip(*(one[row] for one in chosen), strict=True)]
                for row in shown
            }
            means[name] = rows  # those of the last table
            auprc = statistics.mean(one["auprc"] for one in chosen)
            cells = [" / ".join(f"{100 * value:.1f}" for value in rows[row]) for row in shown]
            table.add_row(name, f"{100 * auprc:.1f}", *cells)
        console.print(table)
    for row in list(shown)[1:]:
        gained = 0
        for name, rows in means.items():
            auiou, f1 = (100 * (rows[row][place] - rows["detector"][place]) for place in (0, 2))
            gained += auiou >= 10 and f1 >= 10
            console.print(f"{name}: {shown[row]}: gains {auiou:+.1f} AuIoU and {f1:+.1f} mean F1")
        console.print(
            f"{shown[row]}: {gained} of {len(means)} gain 10 points of both on the mean of the sets"
        )


def trainings(study: Study, names: Sequence[str], console: Console) -> None:
    """Prints what each method was taught with, and what it gained over the scores of its frozen network."""
    table = Table(title="taught on validation scenes, %", title_justify="left")
    for head in ("method", "steps", "seed", "hours", "AuPRC", "MSP", "energy", "entropy", "mIoU", "frozen"):
        table.add_column(head, justify="left" if head == "method" else "right")
    for name in names:
        if name in METHODS:
            metrics = read_metrics(study.options.out / name / "detector")
            recipe, figures = metrics["recipe"], metrics["validation"]
            keys = ("auprc", "auprc_msp", "auprc_energy", "auprc_entropy", "miou", "miou_frozen")
            shown = [f"{100 * figures[f'val/{key}']:.1f}" for key in keys]
            table.add_row(
                name, str(recipe["max_steps"]), str(recipe["seed"]), f"{metrics['hours']:.2f}", *shown
            )
    if table.row_count:
        console.print(table)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    known = [*SCORES, *ON_FEATURES]
    parser.add_argument("--data", type=Path, required=True, help="training data, with benchmarks_dev/")
    parser.add_argument("--out", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--detectors", default=",".join(known), help=f"of {', '.join(known)}")
    parser.add_argument(
        "--reuse", help="whose generator all use too, or pipeline; the first detector if not given"
    )
    parser.add_argument("--only-reused", action="store_true", help="train no generators")
    parser.add_argument("--segmenter", default="street", help="part, or folder of a trained one")
    parser.add_argument("--pipeline", default="street", help="whose masks: bundled name or folder")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--detector-set", action="append", default=[], metavar="KEY=VALUE", help="of every method"
    )
    parser.add_argument(
        "--prompts-set", action="append", default=[], metavar="KEY=VALUE", help="of generators"
    )
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args(arguments)
    names = options.detectors.split(",")
    options.reuse = options.reuse or names[0]
    unknown = [name for name in names if name not in known]
    unknown += [options.reuse] if options.reuse not in (*known, "pipeline") else []
    if unknown:
        parser.error(f"there is no detector '{unknown[0]}'; choose of: {', '.join(known)}")
    import torch

    torch.set_num_threads(options.threads)
    options.out.mkdir(parents=True, exist_ok=True)
    console = Console(width=150)
    study = Study(options, segmenter_of(options.segmenter))
    sets = sorted(path for path in (options.data / "benchmarks_dev").iterdir() if path.is_dir())
    for name in names:
        study.measure(name, sets)
    tables(study, names, [each.name for each in sets], console)
    trainings(study, names, console)


if __name__ == "__main__":
    main()
