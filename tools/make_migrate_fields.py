"""Write test/migrate/fields.txt: every field of the configs that hone migrate has a row for.

Their sources are read, not run, so that several versions can be read at once:

    pip download --no-deps trl transformers==4.57.6 transformers peft llamafactory  (unzip each)
    tools/make_migrate_fields.py DIR... > test/migrate/fields.txt

DIR is a folder with transformers/, peft/, trl/ or llamafactory/ in it (site-packages, or an unzipped wheel); what
one version has is enough.  test/migrate/test_migrate.c looks for a rule for each.
"""

import ast
import sys
from pathlib import Path

# the table of rules, the file, the class
SOURCES = [
    ("training", "transformers/training_args.py", "TrainingArguments"),
    ("training", "transformers/training_args_seq2seq.py", "Seq2SeqTrainingArguments"),
    ("sft", "trl/trainer/base_config.py", "_BaseConfig"),
    ("sft", "trl/trainer/sft_config.py", "SFTConfig"),
    ("trl", "trl/trainer/model_config.py", "ModelConfig"),
    ("trl", "trl/scripts/utils.py", "ScriptArguments"),
    ("trl", "trl/scripts/utils.py", "DatasetMixtureConfig"),
    ("lora", "peft/tuners/lora/config.py", "LoraConfig"),
    ("lora", "peft/config.py", "PeftConfigMixin"),
    ("lora", "peft/config.py", "PeftConfig"),
    ("bnb", "transformers/utils/quantization_config.py", "BitsAndBytesConfig"),
    *[
        ("llama_factory", f"llamafactory/hparams/{file}_args.py", f"{name}Arguments")
        for file, names in {
            "data": "Data",
            "finetuning": "Freeze Lora OFT RLHF Galore Apollo SwanLab Finetuning",
            "generating": "Generating",
            "model": "BaseModel Quantization Processor Export Vllm SGLang KTransformers",
            "training": "Ray Profiler Fp8 Training",
        }.items()
        for name in names.split()
    ],
    ("llama_factory", "llamafactory/hparams/finetuning_args.py", "BAdamArgument"),
]
# within a mixture; hone reads the parts that it knows
SKIPPED = {"DatasetMixtureConfig": {"streaming", "test_split_size"}}


def fields_of(path, name):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ClassDef) and node.name == name:
            for part in node.body:
                target = getattr(part, "target", None)
                if isinstance(part, ast.AnnAssign) and isinstance(target, ast.Name):
                    if "ClassVar" not in ast.unparse(part.annotation):
                        yield target.id
                if isinstance(part, ast.FunctionDef) and part.name == "__init__":
                    for arg in part.args.args[1:] + part.args.kwonlyargs:
                        yield arg.arg


def main():
    tables = {}
    for table, file, name in SOURCES:
        for folder in sys.argv[1:]:
            path = Path(folder) / file
            if path.exists():
                known = tables.setdefault(table, {})
                for field in fields_of(path, name):
                    if not field.startswith("_") and field not in SKIPPED.get(name, ()):
                        known[field] = None
    if len(tables) < len({t for t, _, _ in SOURCES}):
        sys.exit(__doc__)
    for table, fields in tables.items():
        for field in sorted(fields):
            print(table, field)


if __name__ == "__main__":
    main()
