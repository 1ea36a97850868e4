"""A worker of torchrun: ntps with a checkpoint after every batch, and an ambush at its first start."""

from __future__ import annotations

import json
import os

from workers import Ambush, paced_main

if __name__ == "__main__":
    planned = Ambush(**json.loads(os.environ["AMBUSH"])) if "AMBUSH" in os.environ else None
    first = os.environ["TORCHELASTIC_RESTART_COUNT"] == "0"
    if not first:
        print("started again")
    paced_main(planned if planned and first and os.environ["RANK"] == str(planned.rank) else None)
