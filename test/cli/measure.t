# test, generate, info and bench on a tiny model: the shape of what they print.
$ printf '%s\n' '{"prompt": "row", "completion": "of data"}' '{"text": "the data"}' > t.jsonl
$ hone test --model $TEST/golden/llama-tied --data t.jsonl --max-tokens 5 --json > before.json; tr ',' '\n' < before.json | sed -n 's/^ *[{]*\(.*"[a-z_]*"\):.*/\1/p' | tr -d '{["' | sed 's/^ *//;s/rows: *//' | tr '\n' ' '
tokens loss line prompt expected output exact has_json json_valid json_fields_right json_fields rouge_l tokens loss line loss perplexity tokens generated exact json_rows json_valid json_fields_right json_fields rouge_l seconds peak_memory_bytes * (glob)
$ hone test --model $TEST/golden/llama-tied --data t.jsonl --max-tokens 5
  loss * over * tokens of 2 rows (glob)
  perplexity * (glob)
  exact * 0.0 %  0 of 1 (glob)
  ROUGE-L * mean of 1 answers (glob)
  time * peak memory * MB (glob)
$ hone test --model $TEST/golden/llama-tied --data t.jsonl --max-tokens 5 --compare-with before.json | tail -5
  2 held-out rows * before * now (glob)
  loss * (glob)
  perplexity * (glob)
  exact answers * 0.0 % * 0.0 % (glob)
  ROUGE-L * (glob)
$ hone test --model $TEST/golden/llama-tied --data t.jsonl --no-generate --verbose | grep -c -- ----
2
# A prompt without a token is not gone on from, alone or beside others.
$ printf '%s\n' '{"prompt": "", "completion": "row"}' > e.jsonl; cat t.jsonl e.jsonl > f.jsonl; for f in e f; do hone test --model $TEST/golden/llama-tied --data $f.jsonl --max-tokens 5 --json | grep -oE '"generated": [0-9]+'; done
"generated": 0
"generated": 1
$ echo '{}' > no.json; hone test --model $TEST/golden/llama-tied --data t.jsonl --compare-with no.json
2> hone: no.json is not what hone test --json prints
? 1
$ hone generate --model $TEST/golden/llama-tied --prompt row -m 4 --json | grep -oE '"[a-z_]+":' | tr -d '\n'; echo
"text":"token_ids":"logprobs":"prompt_tokens":"prompt_tokens_per_second":"generation_tokens":"generation_tokens_per_second":"load_seconds":"first_token_seconds":"peak_memory_bytes":"finish_reason":
$ hone generate --model $TEST/golden/llama-tied --prompt row -m 4 | tail -4
==========
Prompt: 3 tokens, * tokens-per-sec (glob)
Generation: * tokens, * tokens-per-sec (glob)
Peak memory: 0.0* GB (glob)
$ printf row | hone generate --model $TEST/golden/llama-tied -p - -m 4 --no-verbose | cmp - <(hone generate --model $TEST/golden/llama-tied row -m 4 --no-verbose)
$ hone generate --model $TEST/golden/llama-tied --prompt row --system-prompt x
2> hone: --system-prompt needs a chat template, and the model has none
? 2
$ hone generate --model $TEST/golden/llama-tied --prompt ''
2> hone: --prompt is missing (- reads standard input)
? 2
$ hone info $TEST/golden/llama-tied | sed -n 1,11p
Model
  file           */golden/llama-tied (safetensors, 236.8 kB) (glob)
  architecture   llama
  parameters     58,688 (58.7k)
  weights        float32, 32.000 bits per weight
  blocks         2 of width 64, feed-forward 72
  attention      4 heads of 16, 2 for keys and values
  positions      rotary, base 5000, scaling none, context of 256 tokens
  vocabulary     96 tokens, embedding and output tied
  tokenizer      byte-level BPE, 96 tokens
  chat template  none
$ hone info $TEST/golden/llama-tied --train --batch-size 2 --max-seq-length 64 | grep training
Memory of training (micro-batches of at most 128 tokens)
$ hone info $TEST/golden/llama-tied --train --json | grep -oE '"(inference_plan|training_plan|total|max_tokens)":' | tr -d '\n'; echo
"inference_plan":"total":"max_tokens":"training_plan":"total":"max_tokens":
# Keys and values: 256 tokens, 2 blocks, 2 heads of 16, both; 2 bytes each unless asked otherwise.
$ hone info $TEST/golden/llama-tied -p 200 -g 56 --json | grep -oE '"cache": [0-9]+' | head -1
"cache": 65536
$ hone info $TEST/golden/llama-tied -p 200 -g 56 --kv-type f32 --json | grep -oE '"cache": [0-9]+' | head -1
"cache": 131072
$ hone info $TEST/golden/llama-tied -p 200 -g 56 --kv-type q8_0 --json | grep -oE '"cache": [0-9]+' | head -1
"cache": 40960
$ hone generate --model $TEST/golden/llama-tied --prompt a --kv-type int8
2> hone: --kv-type: found "int8", expected one of f32, f16, q8_0
? 2
$ hone bench $TEST/golden/llama-tied --prompt-tokens 16 -g 4 --train-tokens 16 -n 1 --decode-batch 4 --class-tokens 0 --threads 1 --json > bench.json; grep -oE '"name": "[a-z0-9 ]+"' bench.json | tr '\n' ' '; grep -oE '"(classes|first_token_[a-z]+)": ?[^,.]*' bench.json | sed 's/: .*[0-9]/: N/'
"name": "prefill" "name": "decode" "name": "decode x2" "name": "decode x4" "name": "train" "classes": []
"first_token_seconds": N
"first_token_prompt": N}
# In one precision with float32, the exact class picks its tokens; 8-bit activations are farther off.
$ hone bench $TEST/golden/gguf-q4_1/model.gguf --prompt-tokens 16 -g 4 --train-tokens 0 -n 1 --decode-batch 1 --class-tokens 64 --threads 1 --json | tr '{' '\n' | sed -n 's/.*"compute": "\([a-z0-9]*\)".*"positions": \([0-9]*\), "mean_kl_to_float32": \([^,]*\),.*/\1 \2 \3/p' | grep -v bf16 | awk '{ kl[$1] = $3; n[$1] = $2 } END { print n["exact"], n["int8"], (kl["exact"] >= 0 && kl["exact"] < 1e-5), (kl["int8"] > kl["exact"]) }'
64 64 1 1
$ hone bench $TEST/golden/llama-tied --prompt-tokens 16 -g 4 --train-tokens 0 -n 1 --decode-batch 2 --class-tokens 16 --threads 1 | grep -v "^  bf16 "
This machine: * GB/s of memory reads, * GFLOP/s of float32 (glob)
 * tokens/s * median * limit * reached * one thread * peak memory (glob)
  prefill    * % * MB (glob)
  decode     * % * MB (glob)
  decode x2  * % * MB (glob)
First token after * s from the start: opening, and 16 tokens read (glob)
Classes of arithmetic; likelihoods beside float32's on 16 tokens of English, eight sequences at once:
  --compute * prefill * decode * mean KL * same likeliest token (glob)
  exact * tok/s * tok/s * % (glob)
  int8 * tok/s * tok/s * % (glob)
$ hone bench $TEST/golden/llama-tied --decode-batch 65
2> hone: --decode-batch: * (glob)
? 2
# A text goes on after a NUL in it.
$ printf '%s\n' '{"prompt": "a\u0000b", "completion": "c\u0000d"}' > nul.jsonl; hone test --model $TEST/golden/llama-tied --data nul.jsonl --json --max-tokens 1 | grep -oE '"(prompt|expected)": "[^"]*"'
"prompt": "a\u0000b"
"expected": "c\u0000d"
