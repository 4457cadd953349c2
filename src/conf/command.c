#include "conf/command.h"

#include <string.h>
#include "base/str.h"

const struct hn_command hn_commands[HN_N_COMMANDS] = {
    [HN_PREPARE] =
        {
            .name = "prepare",
            .summary = "turn records into training data, and say what is in them",
            .arguments = "[FILE...]",
            .max_arguments = 256,
            .text =
                "Reads .jsonl files of task records, chats, prompt/completion pairs, Alpaca rows "
                "or "
                "plain text, shuffles and splits them, and writes rows that hone train reads. With "
                "--model, rows are measured in tokens.",
            .examples = "hone prepare --input mode.jsonl --input pois.jsonl --output data\n"
                        "hone prepare rows.jsonl -o data --valid-fraction 0.1 --model ./model\n"
                        "hone prepare rows.jsonl -o data --model ./model --preview 2\n",
        },
    [HN_TRAIN] =
        {
            .name = "train",
            .alias = "lora",
            .summary = "fine-tune a model on your data (hone lora is the same)",
            .arguments = "",
            .text =
                "Trains an adapter on a model as it is stored, quantised or not. The memory that "
                "the "
                "run will need is computed and printed before the first step. Ctrl-C saves, and "
                "--resume goes on from there.",
            .examples =
                "hone train --model ./model --data data\n"
                "hone train --model model.gguf --data rows.jsonl --lora-rank 16 --num-epochs 2\n"
                "hone train --config adapters/train.yaml --resume\n",
        },
    [HN_GENERATE] =
        {
            .name = "generate",
            .summary = "write text with a model",
            .arguments = "[PROMPT]",
            .max_arguments = 1,
            .text = "Prints the answer as it is written. The model's chat template is used where "
                    "it has "
                    "one. An adapter's folder is enough as --model: it knows its base.",
            .examples = "hone generate --model ./model --prompt \"What is a fjord?\"\n"
                        "hone generate --model adapters --prompt - < question.txt\n",
        },
    [HN_CHAT] =
        {
            .name = "chat",
            .summary = "talk with a model, turn by turn",
            .arguments = "[MODEL]",
            .max_arguments = 1,
            .text = "Keeps the conversation and its cache between turns: only what is new is read. "
                    "Ctrl-C stops an answer, not the program; Ctrl-D ends. /help lists the "
                    "commands: /reset, /system TEXT, /save FILE (a record that hone prepare "
                    "reads), /retry, /undo. Lines may also come through a pipe, one message each; "
                    "then nothing but the answers is printed.",
            .examples = "hone chat ./model\n"
                        "hone chat adapters --temp 0.7 --system-prompt \"Be brief.\"\n"
                        "printf 'Hello\\n/save talk.jsonl\\n' | hone chat ./model\n",
        },
    [HN_TEST] =
        {
            .name = "test",
            .summary = "measure a model on held-out rows",
            .arguments = "",
            .text =
                "Loss and perplexity, and what the model writes for each prompt against what it "
                "should: exact match, valid JSON, JSON fields, ROUGE-L.",
            .examples = "hone test --model adapters --data test.jsonl\n"
                        "hone test --model ./model --data test.jsonl --json > before.json\n"
                        "hone test --model adapters --data test.jsonl --compare-with before.json\n",
        },
    [HN_TOKENIZE] =
        {
            .name = "tokenize",
            .summary = "text to token ids and back",
            .arguments = "[FILE]",
            .max_arguments = 1,
            .text = "Prints one JSON array of ids: of --text as one input, else of each line of "
                    "FILE or "
                    "standard input.",
            .examples = "hone tokenize --model ./model --text \"Hello, world\"\n"
                        "echo '[504, 905]' | hone tokenize --model ./model --decode\n",
        },
    [HN_INFO] =
        {
            .name = "info",
            .summary = "describe a model, and plan the memory of a run",
            .arguments = "[MODEL]",
            .max_arguments = 1,
            .text = "Architecture, parameters, quantisation, tokenizer and chat template; and the "
                    "memory "
                    "that inference, or with --train a training run, will take.",
            .examples = "hone info model.gguf\n"
                        "hone info ./model --train --batch-size 2 --max-seq-length 2048\n",
        },
    [HN_BENCH] =
        {
            .name = "bench",
            .summary = "measure speed against this machine's limits",
            .arguments = "[MODEL]",
            .max_arguments = 1,
            .text = "Tokens per second of prefill, decode (one sequence, and several at once) and "
                    "training, beside the memory bandwidth and arithmetic that this machine was "
                    "measured to have; the time to the first token; and each class of arithmetic: "
                    "its speed and how near to float32 it writes.",
            .examples = "hone bench model.gguf\n"
                        "hone bench --model ./model --train-tokens 0 --json\n"
                        "hone bench model.gguf --decode-batch 1 --class-tokens 0\n",
        },
    [HN_MIGRATE] =
        {
            .name = "migrate",
            .summary = "turn a notebook, script or config into hone's settings",
            .arguments = "FILE",
            .max_arguments = 1,
            .text =
                "Reads, and never runs, a notebook or Python script that trains with "
                "transformers, peft, trl or unsloth, a shell script that calls mlx_lm.lora or trl "
                "sft, PEFT's adapter_config.json, mlx-lm's or TRL's YAML. Prints what became of "
                "every argument, and writes train.yaml; what cannot "
                "be carried is said. docs/migrate.md has the tables.",
            .examples = "hone migrate finetune.ipynb -o train.yaml\n"
                        "hone migrate train.py --json\n"
                        "hone migrate finetune.ipynb --run\n",
        },
    [HN_PULL] =
        {
            .name = "pull",
            .summary = "download a model from a hub",
            .arguments = "ORG/NAME[@REVISION]",
            .max_arguments = 1,
            .text =
                "Downloads what hone reads of a model (configuration, tokenizer, safetensors or "
                "GGUF) from the Hugging Face hub, or the one that HF_ENDPOINT names, into the "
                "Hugging Face cache, where other programs find it too. What is there is not "
                "fetched again, a part is continued, and every file is checked. HF_TOKEN, HF_HOME, "
                "HF_HUB_CACHE and HF_HUB_OFFLINE are honoured. The last line is the model's path.",
            .examples = "hone pull HuggingFaceTB/SmolLM2-135M-Instruct\n"
                        "hone pull ORG/NAME-GGUF --include '*Q4_0*'\n",
        },
    [HN_REPORT] =
        {
            .name = "report",
            .summary = "write report.html and metrics.csv of a training run again",
            .arguments = "[FOLDER]",
            .max_arguments = 1,
            .text = "hone train writes both into the adapter's folder, at each checkpoint and when "
                    "it ends. This makes them from the folder's run.json and metrics.jsonl, also "
                    "while the run goes on or after it was killed. Samples that are missing are "
                    "written by the base and the adapter; --report-samples 0 leaves them out.",
            .examples = "hone report adapters\n"
                        "hone report adapters --report-samples 0\n",
        },
    [HN_COMPARE] =
        {
            .name = "compare",
            .summary = "lay two models side by side, or hone and PyTorch",
            .arguments = "A [B]",
            .max_arguments = 2,
            .text =
                "A and B are each MODEL or MODEL+ADAPTER (an adapter's folder alone will do): base "
                "and tuned, 4-bit and original, GGUF and MLX. Shows what each writes, loss, "
                "agreement of next-token distributions, speed, peak memory (each side has a "
                "process to itself) and size. With --pytorch the original also runs through "
                "transformers, and the table ends with hone against PyTorch.",
            .examples =
                "hone compare ./model adapters --data test.jsonl\n"
                "hone compare model.Q4_1.gguf ./model --prompt \"What is a fjord?\"\n"
                "hone compare model.Q4_1.gguf ./model+adapters --pytorch ~/venv/bin/python\n",
        },
    [HN_CONVERT] =
        {
            .name = "convert",
            .summary = "write a model, or an adapter, in another system's form",
            .arguments = "[MODEL]",
            .max_arguments = 1,
            .text =
                "Between Hugging Face directories, MLX directories (quantised or not) and GGUF "
                "files, in every direction, tokenizer and chat template included; and between "
                "mlx-lm's and PEFT's layouts of an adapter. Quantised weights keep their values "
                "where the other form has them, and what had to be rounded is said. "
                "docs/convert.md has the table.",
            .examples = "hone convert ./model -q --q-bits 4 -o model-4bit\n"
                        "hone convert ./model -o model.gguf --type q8_0\n"
                        "hone convert model.Q4_1.gguf --to mlx -o mlx_model\n"
                        "hone convert ./mlx_model --to hf --type bf16 -o model\n"
                        "hone convert adapters --to peft -o adapters-peft\n",
        },
    [HN_FUSE] =
        {
            .name = "fuse",
            .summary = "merge an adapter into its base model",
            .arguments = "[MODEL]",
            .max_arguments = 1,
            .text =
                "Writes a model that needs no adapter, in the base's own form: quantised weights "
                "that had an adapter are quantised again, the others are copied. --dequantize "
                "writes 16-bit floats instead; --to and --type choose another form. Then measures, "
                "on --data or on built-in texts, how far the fused model is from the base with "
                "its adapter.",
            .examples = "hone fuse --adapter-path adapters\n"
                        "hone fuse --model ./model --adapter-path adapters --save-path fused "
                        "--dequantize\n"
                        "hone fuse --adapter-path adapters -o fused.gguf --type q8_0 --data "
                        "test.jsonl\n",
        },
    [HN_HELP] =
        {
            .name = "help",
            .summary = "explain a command",
            .arguments = "[COMMAND]",
            .max_arguments = 1,
            .text = "",
            .examples = "hone help train\n",
        },
    [HN_VERSION] =
        {
            .name = "version",
            .summary = "print the version",
            .arguments = "",
            .text = "",
            .examples = "",
        },
};

enum hn_command_id hn_command_find(const char *name)
{
    for (int i = 0; i < HN_N_COMMANDS; i++) {
        const struct hn_command *c = &hn_commands[i];
        if (strcmp(c->name, name) == 0 || (c->alias && strcmp(c->alias, name) == 0))
            return (enum hn_command_id)i;
    }
    return HN_N_COMMANDS;
}

const char *hn_command_nearest(const char *name)
{
    const char *names[2 * HN_N_COMMANDS];
    size_t n = 0;
    for (int i = 0; i < HN_N_COMMANDS; i++) {
        names[n++] = hn_commands[i].name;
        if (hn_commands[i].alias)
            names[n++] = hn_commands[i].alias;
    }
    return hn_nearest(name, names, n);
}
