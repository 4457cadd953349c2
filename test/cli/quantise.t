# Quantising a base while it is loaded, by BitsAndBytesConfig's names.
$ hone info --model $TEST/golden/llama-tied --load-in-4bit --bnb-4bit-use-double-quant | grep -E 'weights '
  weights        bitsandbytes NF4, blocks of 64, double quantised, made of the files' float32, * bits per weight (glob)
  weights * kB  the model's file, mapped (glob)
  repacked * kB  copies of weights in a faster layout (glob)
$ hone info --model $TEST/golden/gguf-f16/model.gguf --load_in_8bit --json | grep -o '"quantization": *"[^"]*"'
"quantization": "bitsandbytes int8, made of the files' float16"
$ hone info --model $TEST/golden/llama-tied --load-in-4bit --bnb-4bit-quant-type fp4 --bnb-4bit-compute-dtype torch.float16 | grep -o 'FP4, blocks of 64, made'
FP4, blocks of 64, made
# A run keeps it in its settings, which repeat the run.
$ for i in a b c d e f; do echo "{\"text\": \"row $i of the data\"}"; done > d.jsonl
$ hone train --model $TEST/golden/llama-tied --data d.jsonl --max-steps 2 --load-in-4bit --bnb-4bit-quant-type fp4 --threads 1 | grep -E '^model|repacked'
model        */golden/llama-tied (llama, bitsandbytes FP4, blocks of 64, made of the files' float32, 58.7k parameters) (glob)
  repacked   * kB  copies of weights in a faster layout (glob)
$ grep -E 'load_in|bnb_4bit' adapters/train.yaml
load_in_4bit: true
load_in_8bit: false
bnb_4bit_quant_type: fp4
bnb_4bit_use_double_quant: false
$ cp -r adapters first; hone train --config first/train.yaml > log.txt; cmp first/adapters.safetensors adapters/adapters.safetensors
# What is quantised already is used as it is.
$ hone info --model $TEST/golden/mlx-q4 --load-in-8bit | grep -c 'affine 4-bit'
1
2> hone: note: the model's files are quantised already (affine 4-bit, groups of 64): load_in_8bit is unnecessary, they are used as they are
$ hone train --model $TEST/golden/mlx-q4 --data d.jsonl --max-steps 1 --load-in-4bit --adapter-path other | grep note.*already
note: the model's files are quantised already (affine 4-bit, groups of 64): load_in_4bit is unnecessary, they are used as they are
# What cannot be.
$ hone info --model $TEST/golden/llama-tied --load-in-4bit --load-in-8bit
2> hone: load-in-4bit and load-in-8bit are both set; choose one of them
? 2
$ hone info --model $TEST/golden/llama-tied --load-in-4bit --llm-int8-skip-modules 'layers.*'
2> hone: llm-int8-skip-modules: "layers.*" is a pattern; expected the beginning or the end of a module's path ("lm_head", "model.layers.0")
? 2
# A conversation with a base that is quantised while it is loaded.
$ echo a b | hone chat $TEST/golden/llama-tied --load-in-4bit --max-tokens 6 2> log
::::::
