# From a script to settings, and the whole way with --run.
$ printf '%s\n' 'from transformers import TrainingArguments, AutoModelForCausalLM' 'import peft' 'n, out = 2, "tuned"' 'm = AutoModelForCausalLM.from_pretrained("org/name", device_map="auto")' 'm = peft.get_peft_model(m, peft.LoraConfig(r=n, alpha=8, target_modules=["q_proj"]))' 'rows = load_rows("rows.jsonl")' 'args = TrainingArguments(out, learning_rate=1e-3, max_steps=n, seed=1, fp16=True, novel=1)' > tune.py
$ hone migrate tune.py -o train.yaml
  where   original * value * in hone * note (glob)
  line 4  from_pretrained.pretrained_model_name_or_pa…  "org/name" * model: org/name * (glob)
  line 4  from_pretrained.device_map * "auto" * automatic * automatic: hone maps the weights, and plans memory before it starts (glob)
  line 5  LoraConfig.r * 2 * lora_rank: 2 * (glob)
  line 5  LoraConfig.alpha * 8 * lora_alpha: 8 (changed) * PEFT calls it lora_alpha, and fails at this name; taken as meant (glob)
...
  line 7  TrainingArguments.novel * 1 * unknown * not known to hone (glob)
...
  -       TrainingArguments.lr_scheduler_type * (default) * lr_scheduler_type: linear * (glob)
...
Python script: 10 carried, 1 changed, 3 automatic, 0 not carried, 1 not known; 12 defaults written out
wrote train.yaml
Then:
  hone prepare --input rows.jsonl --output data
  hone train --config train.yaml
  hone test --model tuned --data data/train.jsonl --limit 20 --no-append-eos --max-seq-length 1024
$ grep -E '^(model|lora_alpha|lr_scheduler_type):' train.yaml
model: org/name  # from_pretrained.pretrained_model_name_or_path, line 4
lora_alpha: 8.0  # LoraConfig.alpha, line 5
lr_scheduler_type: linear  # default of TrainingArguments
$ sed -i "s|org/name|$TEST/golden/llama-tied|" tune.py
$ printf '%s\n' '{"text": "one two"}' '{"text": "three"}' > rows.jsonl
$ hone migrate tune.py --run | grep -E '^(  hone|wrote|Saved|  loss)'
wrote train.yaml
  hone prepare --input rows.jsonl --output data
  hone train --config train.yaml
  hone test --model tuned --data data/train.jsonl --limit 20 --no-append-eos --max-seq-length 1024
  hone prepare --input rows.jsonl --output data
wrote data
  hone train --config train.yaml
Saved final weights to tuned/adapters.safetensors.
  hone test --model tuned --data data/train.jsonl --limit 20 --no-append-eos --max-seq-length 1024
  loss * (glob)
$ hone migrate tune.py --json | grep -o '"unknown": 1'
"unknown": 1
$ echo 'print(1)' > other.py; hone migrate other.py
2> hone: other.py: no call was found that hone knows (from_pretrained, LoraConfig, TrainingArguments, SFTTrainer…): is this the file that trains?
? 1
$ hone migrate
2> hone: which file? A notebook (.ipynb), a Python or shell script, PEFT's adapter_config.json, mlx-lm's, TRL's, axolotl's, LLaMA-Factory's or torchtune's YAML
? 2
# TRL trains the completion alone where rows are of prompt and completion; rows of its own folder stay as they are.
$ mkdir -p data; echo '{"prompt": "a", "completion": "b"}' > data/train.jsonl; cat > sft.py <<'S'
> from datasets import load_dataset
> from trl import SFTConfig, SFTTrainer
> rows = load_dataset("json", data_files="data/train.jsonl", split="train")
> SFTTrainer("someone/Model-1B", args=SFTConfig("out"), train_dataset=rows).train()
> S
$ hone migrate sft.py -o sft.yaml | grep -E '^  hone'; grep mask_prompt sft.yaml
  hone prepare --input data/train.jsonl --output prepared
  hone train --config sft.yaml
  hone test --model out --data prepared/train.jsonl --limit 20 --mask-prompt --plain-completions --max-seq-length 1024
mask_prompt: true  # default of SFTConfig
# Rows that it takes in the file's order stay in it.
$ sed -i 's/SFTConfig("out")/SFTConfig("out", train_sampling_strategy="sequential")/' sft.py; hone migrate sft.py -o sft.yaml | grep '^  hone prepare'; grep -o '^shuffle: false' sft.yaml
  hone prepare --input data/train.jsonl --output prepared --no-shuffle
shuffle: false
$ echo '{"text": "a"}' > data/train.jsonl; hone migrate sft.py | grep -c mask
0
? 1
$ echo '{"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]}' > data/train.jsonl; hone migrate sft.py | grep -o "TRL.conversations.*ShareGPT's roles"
TRL.conversations * TRL gives ShareGPT's roles (glob)
# A file takes the place of no pipe or device, of what standard output goes to, nor of its source.
$ mkfifo pipe; hone migrate tune.py -o pipe; test -p pipe && echo still a pipe
still a pipe
2> hone: pipe is a device or pipe, expected the name of a file to write
$ hone migrate tune.py -o told.txt >> told.txt
2> hone: the output told.txt is what standard output goes to: choose another name with -o
? 2
$ printf 'model: m\ntrain: true\niters: 5\n' > train.yaml; hone migrate train.yaml --run
2> hone: the output train.yaml is the file that is read, and would replace it: choose another name with -o
? 2
$ cat train.yaml
model: m
train: true
iters: 5
# LLaMA-Factory's data sets are looked up in its dataset_info.json.
$ mkdir -p lf/data; cat > lf/data/dataset_info.json <<'S'
> {"chats": {"file_name": "chats.jsonl", "formatting": "sharegpt", "columns": {"messages": "messages"},
>            "tags": {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "bot"}},
>  "facts": {"file_name": "facts.json", "columns": {"prompt": "question", "query": "input", "response": "output",
>            "system": "system"}, "num_samples": 9},
>  "zh": {"hf_hub_url": "org/zh", "subset": "small"}, "pairs": {"file_name": "p.json", "ranking": true},
>  "old": {"file_name": "old.parquet"}, "made": {"script_url": "made"}}
> S
$ printf '%s\n' 'model_name_or_path: org/name' 'stage: sft' 'dataset: chats, facts,zh,pairs' 'eval_dataset: old,made,none' > lf/lf.yaml
$ touch lf/data/chats.jsonl; hone migrate lf/lf.yaml | grep -E 'dataset|^  hone' | sed 's/\([^ ]\)   */\1 | /g'
  line 3 | LLaMA-Factory.dataset.chats | "chats" | hone prepare --input (changed) | rename in the data: bot to assistant
  line 3 | LLaMA-Factory.dataset.facts | "facts" | hone prepare --input (changed) | rename in the data: question to instruction; hone does not read system
  line 3 | LLaMA-Factory.dataset.facts.num_samples | 9 | not carried | so many rows at random: cut the file the same way
  line 3 | LLaMA-Factory.dataset.zh | "zh" | not carried | hone loads no data set from a hub: write it to a file first, with Python's datasets: load_dataset("org/zh", "small", split="train").to_json("zh.jsonl")
  line 3 | LLaMA-Factory.dataset.pairs | "pairs" | not carried | rows of preferences, which hone does not train on
  line 3 | LLaMA-Factory.dataset | "chats, facts,zh,pairs" | changed | LLaMA-Factory words Alpaca rows as chats in its template, hone in Stanford Alpaca's form; for chats, write them first: * (glob)
  line 4 | LLaMA-Factory.eval_dataset.old | "old" | not carried | hone prepare takes files of .jsonl, .json, .csv and .tsv, one by one: convert others, with Python's datasets: load_dataset(…).to_json(…)
  line 4 | LLaMA-Factory.eval_dataset.made | "made" | not carried | made by a script, or in a cloud: write its rows to a file, and give that to hone prepare --input
  line 4 | LLaMA-Factory.eval_dataset.none | "none" | not carried | data/dataset_info.json, which says what it is, has no such name: give its file to hone prepare --input
  line 4 | LLaMA-Factory.eval_dataset | "old,made,none" | changed | LLaMA-Factory words Alpaca rows as chats * (glob)
  hone prepare --input lf/data/chats.jsonl --input data/facts.json --input zh.jsonl --output data
  hone train --config train.yaml
  hone test --model trainer_output --data data/train.jsonl --limit 20 --mask-prompt --max-seq-length 2048
# A script's own config file is read, as it would be without arguments, and rows that it selects are a split.
$ printf '%s\n' 'model: {name: org/own}' 'lora: {r: 4, target_modules: [q_proj]}' 'training: {out: runs/y, lr: 1e-4}' > config.yaml
$ cat > own.py <<'S'
> import sys, yaml
> with open(sys.argv[1] if len(sys.argv) > 1 else "config.yaml") as f:
>     config = yaml.safe_load(f)
> cfg = SimpleNamespace(**config["training"])
> model = get_peft_model(AutoModelForCausalLM.from_pretrained(config["model"]["name"]), LoraConfig(**config["lora"]))
> rows = load_dataset("json", data_files="a.jsonl", split="train")
> train, valid = rows.select(range(len(rows) - 50)), rows.select(range(len(rows) - 50, len(rows)))
> args = TrainingArguments(output_dir=cfg.out, learning_rate=float(cfg.lr))
> Trainer(model=model, args=args, train_dataset=train, eval_dataset=valid).train()
> S
$ hone migrate own.py -o own.yaml | grep -E 'LoraConfig.r |slice|hone prepare --input' | sed 's/\([^ ]\)   */\1 | /g'
  line 3 | LoraConfig.r | 4 | lora_rank: 4 * (glob)
  line 6 | load_dataset.data_files | "a.jsonl" | hone prepare --input * (glob)
  line 7 | slice | rows.select(range(len(rows) -… | hone prepare --valid-rows 50 | as many, but other rows: the shuffles differ
  hone prepare --input a.jsonl --output data --valid-rows 50
$ sed -i 's/yaml.safe_load/json.load/; s/config.yaml/rows.json/' own.py; echo '{"lora": {"r": 4}}' > rows.json
$ hone migrate own.py | grep -c 'lora_rank: 4'
0
? 1
$ grep -E '^(model|adapter_path|learning_rate|lora_rank):' own.yaml
model: org/own  # from_pretrained.pretrained_model_name_or_path, line 5
lora_rank: 4  # LoraConfig.r, line 3
adapter_path: runs/y  # TrainingArguments.output_dir, line 8
learning_rate: 0.0001  # TrainingArguments.learning_rate, line 8
