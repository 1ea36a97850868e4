"""Scores of models by transformer-ranker; run by other benchmarks in an environment of its own.

python transformer_ranker_worker.py TEXTS.jsonl ESTIMATOR AGGREGATOR BATCH_SIZE MODEL...
"""

import json
import sys

from datasets import Dataset
from transformer_ranker import TransformerRanker  # type: ignore[import-not-found]  # not in this environment

texts, estimator, aggregator, batch_size, *models = sys.argv[1:]
ranker = TransformerRanker(Dataset.from_json(texts), text_column="text", label_column="label")
result = ranker.run(models, estimator=estimator, layer_aggregator=aggregator, batch_size=int(batch_size))
print(json.dumps(dict(result.scores)))
