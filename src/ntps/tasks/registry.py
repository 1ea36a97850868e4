"""The twelve tasks of the paper, as one table of data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """A task known by name.

    Attributes:
        name: Its name here, and that of the folder of its local copy.
        hub_id: Dataset on the hub.
        revision: Commit or reference at which the dataset is stored as Parquet.
        config: Configuration of the dataset, or None for its default.
        text: Text columns; several are joined with a space, the choices of a question being numbered.
        label: Label column.
        classes: Number of classes on the hub, or None if it could not be found out.
        class_names: Their names in the order of the hub's numbers; empty where the dataset itself says them.
        test: The split that serves as test, or None for 70/30 with seed 42, stratified.
        hub_rows: Train and test rows from the hub by the split rule, or None if they could not be found out.
        copy_rows: Train and test rows of the local copies that the project is tested with, or None if there is none.
        licence: As the dataset's card states it.
        citation: Whom to cite.
        checked: Whether id, revision, columns and rows were checked against public copies of the dataset's card.
        hub_remark: What else a user of the hub's dataset should know.
        copy_remark: What else a user of the local copy should know.
    """

    name: str
    hub_id: str
    revision: str
    config: str | None
    text: tuple[str, ...]
    label: str
    classes: int | None
    class_names: tuple[str, ...]
    test: str | None
    hub_rows: tuple[int, int] | None
    copy_rows: tuple[int, int] | None
    licence: str
    citation: str
    checked: bool = True
    hub_remark: str = ""
    copy_remark: str = ""


_ENTRIES = (
    Entry(
        name="intent",
        hub_id="Bhuvaneshwari/intent_classification",
        revision="refs/convert/parquet",
        config=None,
        text=("text",),
        label="intent",
        classes=None,
        class_names=(),
        test="test",
        hub_rows=None,
        copy_rows=(13084, 700),
        licence="none stated",
        citation="no publication known",
        checked=False,
        hub_remark="On the hub the files of the three splits are equally large, so test may repeat train.",
        copy_remark="The local copy that ntps is tested with is SNIPS (Coucke et al., Snips Voice Platform, 2018), a "
        "stand-in with seven classes.",
    ),
    Entry(
        name="clickbait",
        hub_id="marksverdhei/clickbait_title_classification",
        revision="75df85bd37b0ec21c512240d02517e6e5456749f",
        config=None,
        text=("title",),
        label="clickbait",
        classes=2,
        class_names=("not_clickbait", "clickbait"),
        test=None,
        hub_rows=(22400, 9600),
        copy_rows=(22400, 9600),
        licence="MIT",
        citation="Chakraborty, Paranjape, Kakarla and Ganguly, Stop Clickbait, ASONAM 2016",
        hub_remark="The pinned revision is a commit of the hub's own conversion to Parquet.",
    ),
    Entry(
        name="sst2",
        hub_id="stanfordnlp/sst2",
        revision="8d51e7e4887a4caaa95b3fbebbf53c0490b58bbb",
        config=None,
        text=("sentence",),
        label="label",
        classes=2,
        class_names=("negative", "positive"),
        test="validation",
        hub_rows=(67349, 872),
        copy_rows=(67349, 872),
        licence="unknown",
        citation="Socher et al., EMNLP 2013; Wang et al., GLUE, 2018",
        hub_remark="The official test split has no labels.",
    ),
    Entry(
        name="banking77",
        hub_id="legacy-datasets/banking77",
        revision="f54121560de48f2852f90be299010d1d6dc612ec",
        config=None,
        text=("text",),
        label="label",
        classes=77,
        class_names=(),
        test="test",
        hub_rows=(10003, 3080),
        copy_rows=(10003, 3080),
        licence="CC BY 4.0",
        citation="Casanueva et al., Efficient Intent Detection with Dual Sentence Encoders, NLP for ConvAI 2020",
    ),
    Entry(
        name="bias",
        hub_id="PriyaPatel/Bias_identification",
        revision="9567bf31f6b0a48578d2f1921ebf623ddb7e9b46",
        config=None,
        text=("context",),
        label="bias_type",
        classes=10,
        class_names=(
            *("race-color", "socioeconomic", "gender", "disability", "nationality", "sexual-orientation"),
            *("physical-appearance", "religion", "age", "profession"),
        ),
        test="test",
        hub_rows=(22364, 2796),
        copy_rows=None,
        licence="none stated",
        citation="compiled by P. Patel from StereoSet, CrowS-Pairs, MGSD and others, 2024",
    ),
    Entry(
        name="emotion",
        hub_id="dair-ai/emotion",
        revision="cab853a1dbdf4c42c2b3ef2173804746df8825fe",
        config="split",
        text=("text",),
        label="label",
        classes=6,
        class_names=("sadness", "joy", "love", "anger", "fear", "surprise"),
        test="test",
        hub_rows=(16000, 2000),
        copy_rows=(16000, 2000),
        licence="other: educational and research use only",
        citation="Saravia et al., CARER, EMNLP 2018",
    ),
    Entry(
        name="sms_spam",
        hub_id="ucirvine/sms_spam",
        revision="cae486f927c250fe1d4a5b55f11357964ed1646c",
        config="plain_text",
        text=("sms",),
        label="label",
        classes=2,
        class_names=("ham", "spam"),
        test=None,
        hub_rows=(3902, 1672),
        copy_rows=(3902, 1672),
        licence="unknown; CC BY 4.0 at the UCI repository",
        citation="Almeida, Gomez Hidalgo and Yamakami, DocEng 2011",
    ),
    Entry(
        name="medical_questions_pairs",
        hub_id="curaihealth/medical_questions_pairs",
        revision="7e3e158dfe91ce99010ae8967653a165602be014",
        config=None,
        text=("question_1", "question_2"),
        label="label",
        classes=2,
        class_names=("different", "similar"),
        test=None,
        hub_rows=(2134, 914),
        copy_rows=(2134, 914),
        licence="unknown",
        citation="McCreery et al., Effective Transfer Learning for Identifying Similar Questions, KDD 2020",
        hub_remark="The pinned revision is a commit of the hub's own conversion to Parquet.",
    ),
    Entry(
        name="rotten_tomatoes",
        hub_id="cornell-movie-review-data/rotten_tomatoes",
        revision="aa13bc287fa6fcab6daf52f0dfb9994269ffea28",
        config=None,
        text=("text",),
        label="label",
        classes=2,
        class_names=("negative", "positive"),
        test="test",
        hub_rows=(8530, 1066),
        copy_rows=(8530, 1066),
        licence="unknown",
        citation="Pang and Lee, Seeing stars, ACL 2005",
    ),
    Entry(
        name="commonsense_qa",
        hub_id="tau/commonsense_qa",
        revision="94630fe30dad47192a8546eb75f094926d47e155",
        config=None,
        text=("question", "choices"),
        label="answerKey",
        classes=5,
        class_names=("A", "B", "C", "D", "E"),
        test="validation",
        hub_rows=(9741, 1221),
        copy_rows=(9741, 1221),
        licence="MIT",
        citation="Talmor, Herzig, Lourie and Berant, CommonsenseQA, NAACL 2019",
        hub_remark="The official test split has no labels.",
    ),
    Entry(
        name="climate_sentiment",
        hub_id="climatebert/climate_sentiment",
        revision="f261b1fd1af11195db3bdfd809a37a85e0d9fbc2",
        config=None,
        text=("text",),
        label="label",
        classes=3,
        class_names=("risk", "neutral", "opportunity"),
        test="test",
        hub_rows=(1000, 320),
        copy_rows=(1000, 320),
        licence="CC BY-NC-SA 4.0",
        citation="Bingler, Kraus, Leippold and Webersinke, How cheap talk in climate disclosures..., 2023",
    ),
    Entry(
        name="imdb",
        hub_id="stanfordnlp/imdb",
        revision="e6281661ce1c48d982bc483cf8a173c1bbeb5d31",
        config="plain_text",
        text=("text",),
        label="label",
        classes=2,
        class_names=("negative", "positive"),
        test="test",
        hub_rows=(25000, 25000),
        copy_rows=(5000, 5000),
        licence="other: the authors ask for citation",
        citation="Maas et al., Learning Word Vectors for Sentiment Analysis, ACL 2011",
        copy_remark="The local copy that ntps is tested with is a balanced sample.",
    ),
)

REGISTRY = {entry.name: entry for entry in _ENTRIES}
"""The entries by name, in the paper's order."""
EMBEDDED = "docstrings"
"""The task that needs no network."""
TASK_NAMES = (EMBEDDED, *REGISTRY)
"""All that a task can be called."""
