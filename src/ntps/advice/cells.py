"""What is known of a model and a task before LoRA is trained, and of some of them what LoRA reached."""

from __future__ import annotations

from ntps.json_files import Block, Figure


class Evidence(Block):
    """What a forecast is made from; accuracies are shares of right answers on texts left out in folds.

    Attributes:
        texts: Training texts n.
        classes: Number of classes.
        parameters: Of the base transformer.
        final: Accuracy of the ridge probe of the last layer.
        all_layers: That of the ridge probe of all layers together.
        all_layers_error: Its standard error.
        tangent: That of the ridge on the last layer and its derivatives by LoRA's weights.
    """

    texts: int
    classes: int
    parameters: int
    final: float
    all_layers: float
    all_layers_error: float
    tangent: float


class Cell(Evidence):
    """A model on some texts of a task, with the accuracy of LoRA that was trained to its end.

    Attributes:
        model: Last part of the model's id.
        task: Id of the task.
        all_layers_test: What the probe of all layers reaches on the test texts.
        final_test: What that of the last layer does.
        lora_test: What LoRA does.
        test_texts: How many they are.
        area: Share of the chosen layer's R² that next-token directions keep, in sample.
        ntps: Algorithm 1's score of that layer, for 95 % of the next-token objective.
        steps: Steps that LoRA was trained for.
        lora_seconds: Seconds of that run.
        advice_seconds: Seconds of the passes and closed forms that the evidence came from.
    """

    model: str
    task: str
    all_layers_test: float
    final_test: float
    lora_test: float
    test_texts: int
    area: Figure = None
    ntps: Figure = None
    steps: int
    lora_seconds: Figure = None
    advice_seconds: Figure = None

    @property
    def gain(self) -> float:
        """What LoRA gained over the probe of all layers, on the same test texts."""
        return self.lora_test - self.all_layers_test


def last_part(name: str) -> str:
    """Last part of an id or a path, without its revision."""
    return name.split("@")[0].rstrip("/").rsplit("/", 1)[-1]


def named(name: str, full: str) -> bool:
    """Whether a cell calls a model or a task by this name, of which it may have the last part alone."""
    return name in (full, last_part(full))
