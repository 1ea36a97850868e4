"""``ntps.load_probe``: a folder of results → what predicts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ntps.errors import InputError
from ntps.files import PROBE, RESULT
from ntps.json_files import checked, load_json, read_json
from ntps.models.adapters.files import CONFIG, ORIGIN
from ntps.models.model import LanguageModel
from ntps.options.keywords import takes
from ntps.options.predicting import PredictorOptions
from ntps.prediction.origin import ClassifierFile, Origin
from ntps.prediction.predictor import Predictor
from ntps.prediction.scorers import ClassifierScorer, Forward, LinearScorer, Scorer, TangentScorer
from ntps.training.finetuning.saved import classifier_folder, load_classifier
from ntps.training.probes.saved import SavedProbe, SavedTangentProbe, read_probe


@dataclass(frozen=True)
class Saved:
    """What is loaded.

    Attributes:
        folder: Folder that ``ntps probe --out`` wrote with the kind ridge or tangent, or ``ntps finetune --out``.
        model: Where the model is now, or the loaded model; by default where it was.
    """

    folder: str | Path
    model: str | Path | LanguageModel | None = None


@dataclass(frozen=True, kw_only=True)
class LoadProbeOptions(PredictorOptions, Saved):
    """What loading takes."""


@takes(LoadProbeOptions)
def load_probe(options: LoadProbeOptions) -> Predictor:
    """Loads a saved probe, or a fine-tuned classifier, with its model, to predict labels of new texts.

    Returns:
        What predicts, with ``predict`` and ``predict_proba``.

    Raises:
        InputError: The folder holds neither, or the model is not the one that was probed or trained.

    Examples:
        >>> _ = ntps.probe(limit=100, layers="2", out="probe")
        >>> probe = ntps.load_probe("probe")
        >>> probe.predict(["Draw a scatter plot."]).shape
        (1,)
    """
    folder = Path(options.folder)
    if not (folder / PROBE).is_file() and (place := classifier_folder(folder)) is not None:
        return _classifier(place, options)
    path = _probe_file(folder)
    saved = read_probe(path)
    origin = checked(path, dict(saved.about), Origin, "probe the model again")
    model = origin.load(options.model, options)
    origin.require_weights(model, path)
    return predictor_of(saved, origin, model, options)


def predictor_of(
    saved: SavedProbe | SavedTangentProbe, origin: Origin, model: LanguageModel, options: PredictorOptions
) -> Predictor:
    """What predicts, of a probe and the model that it belongs to.

    Raises:
        InputError: The probe was saved by a version that did not make probabilities, or has no weights of all layers.
    """
    settings, task = origin.settings, origin.task
    forward = Forward(model, settings.pooling, settings.masked, options.tokens_per_batch)
    scorer: Scorer
    if isinstance(saved, SavedProbe):
        inverse_temperature = saved.inverse_temperatures[options.all_layers]
        where = f"{len(saved.layers)} layers together" if options.all_layers else model.layer_names[saved.layer]
        description = f"ridge probe of {where}"
        scorer = LinearScorer(forward, saved.parts(all_layers=options.all_layers), inverse_temperature)
    elif options.all_layers:
        raise InputError("`all_layers` means nothing to a tangent probe, which is of the last layer: leave it out")
    else:
        inverse_temperature, description = saved.inverse_temperature, "tangent probe"
        scorer = TangentScorer(forward, saved.ridge, saved.about["tangents"], inverse_temperature)
    if inverse_temperature is None and task.target_kind != "regression":
        raise InputError("the probe was saved by a version of ntps that made no probabilities: probe the model again")
    return Predictor(
        description,
        model,
        task.target_kind,
        task.label_names,
        task.text_columns,
        settings.max_length,
        scorer,
        origin.warnings(model),
    )


def _classifier(place: Path, options: LoadProbeOptions) -> Predictor:
    """What predicts, of a classifier in ``adapter/`` or ``model/``."""
    path, given = place / ORIGIN, options.model
    if options.all_layers:
        raise InputError("`all_layers` means nothing to a fine-tuned classifier: leave it out")
    content = read_json(path, ClassifierFile, "train it again")
    origin = content.origin
    if (place / CONFIG).is_file():
        if isinstance(given, LanguageModel):
            raise InputError("`model` is loaded already, and an adapter would change it: give its folder or its id")
        model, description = origin.load(given, options), "LoRA classifier"
    elif given is not None:
        raise InputError(f"`model` means nothing to {place}, which holds a whole model: leave it out")
    else:
        model, description = origin.load(place, options), "fine-tuned classifier"
    settings, task = origin.settings, origin.task
    forward = Forward(model, settings.pooling, settings.masked, options.tokens_per_batch)
    scorer = ClassifierScorer(forward, load_classifier(model, place))
    return Predictor(
        description,
        model,
        task.target_kind,
        task.label_names,
        task.text_columns,
        settings.max_length,
        scorer,
        origin.warnings(model),
    )


def _probe_file(folder: Path) -> Path:
    """The file of a saved probe.

    Raises:
        InputError: There is none.
    """
    path = folder / PROBE
    if path.is_file():
        return path
    if (folder / RESULT).is_file():
        content = load_json(folder / RESULT, "give another folder")
        settings = content.get("settings") if isinstance(content, dict) and content.get("kind") == "probe" else None
        if isinstance(settings, dict):
            raise InputError(
                f"{folder} holds a probe of kind {settings.get('kind')}, whose weights are not kept: probe again with "
                "`kind` ridge or tangent"
            )
    raise InputError(
        f"{folder} holds neither a probe nor a classifier: give a folder that ntps probe --out or ntps finetune --out "
        "wrote"
    )
