# Two models side by side.
$ M=$TEST/golden/llama-tied; hone compare $M $M --max-tokens 3 --agreement-tokens 100 --prompt row > out; sed -n 1,8p out; tail -20 out
  A  */golden/llama-tied  llama, safetensors, float32; cpu, * (glob)
  B  */golden/llama-tied  llama, safetensors, float32; cpu, * (glob)
 
Prompt 1
  prompt
    row
  A writes
    * (glob)
 
                                     * A * B (glob)
  loss * (glob)
  perplexity * (glob)
  reads prompts * tokens/s * tokens/s (glob)
  writes * tokens/s * tokens/s (glob)
  load time * s * s (glob)
  start to first token * s * s (glob)
  peak memory * MB * MB (glob)
  size on disk * 236.8 kB * 236.8 kB (glob)
  loss over 1724 tokens of 7 rows of the built-in texts
 
  next-token distributions  A beside B
  positions compared               100
  same likeliest token         100.0 %
  mean KL, left from right           0
  mean KL, right from left           0
  largest KL at a position           0
  largest logit difference           0
    over the largest logit           0
$ grep -c 'B writes the same as A' out
1
# What keys and values are kept in is for answers: distributions are compared without.
$ A=$TEST/golden/llama-tied; for k in f32 f16 q8_0; do hone compare $A $A+$A/adapter --kv-type $k --max-tokens 3 --agreement-tokens 100 --prompt row --json | grep -oE '"(kl_ab|kl_max|logit_difference)": [0-9.e-]+' | tr '\n' ' '; echo; done | uniq > kinds; wc -l < kinds; grep -c logit_diff kinds
1
1
$ printf '%s\n' '{"prompt": "row", "completion": "of data"}' '{"text": "the data"}' > t.jsonl
$ hone compare $TEST/golden/llama-tied $TEST/golden/llama-tied+$TEST/golden/llama-tied/adapter --data t.jsonl --max-tokens 3 --json > out.json; grep -oE '"(positions|rows|tokens|expected)": [0-9]+' out.json | tr '\n' ' '; echo
"tokens": 16 "rows": 2 "tokens": 3 "expected": 1 "tokens": 16 "rows": 2 "tokens": 3 "expected": 1 "positions": 16 
$ hone test --model $TEST/golden/llama-tied --data t.jsonl --no-generate --json | grep -oE '"perplexity": [0-9.]+' | cut -c1-22 > p; grep -cFf p out.json
1
$ hone test --model $TEST/golden/llama-tied --adapter-path $TEST/golden/llama-tied/adapter --data t.jsonl --no-generate --json | grep -oE '"perplexity": [0-9.]+' | cut -c1-22 > q; grep -cFf q out.json; cmp -s p q
1
? 1
$ hone compare $TEST/golden/llama-tied
2> hone: compare needs two models, each MODEL or MODEL+ADAPTER (or one, with --pytorch), found 1
? 2
$ hone compare $TEST/golden/llama-tied ./none
2> hone: model ./none: there is no such folder or .gguf file, and it is no ORG/NAME of a hub
? 1
$ hone compare $TEST/golden/llama-tied+./none $TEST/golden/llama-tied 2>&1 | sed 's|.*/golden|golden|'
golden/llama-tied+./none: there is no adapter ./none here
$ hone compare $TEST/golden/llama-tied --data none.jsonl $TEST/golden/llama-tied
2> hone: --data none.jsonl: there is no such file or folder
? 1
# --pytorch: what is missing is one sentence
$ hone compare $TEST/golden/llama-tied --pytorch ./no-python
2> hone: the Python of --pytorch could not be run: ./no-python: No such file or directory
? 1
$ printf '#!/bin/sh\necho "it lacks torch" >&2\nexit 1\n' > python; chmod +x python; hone compare $TEST/golden/llama-tied --pytorch ./python
2> hone: the Python of --pytorch failed with status 1: it lacks torch
? 1
$ hone compare $TEST/golden/mlx-q4 --pytorch ./python
2> hone: --pytorch: transformers loads Hugging Face checkpoints (a folder with config.json and safetensors), and the model is none; name the original as the second model
? 2
$ hone compare $TEST/golden/llama-tied --pytorch ./python --pytorch-dtype int4
2> hone: --pytorch-dtype: found int4, expected float32, bfloat16, float16 or auto
? 2
# PyTorch fails midway: what hone measured is shown, and the failure told
$ printf '#!/bin/sh\ncat > /dev/null\ncase "$2" in torch) exit 0;; esac\necho "ImportError: no wheels" >&2\nexit 3\n' > python; hone compare $TEST/golden/llama-tied --pytorch ./python --max-tokens 2 | grep -c 'peak memory'
1
2> hone: PyTorch failed with status 3: ImportError: no wheels
$ sed -i '4s/.*/echo garbage/;5s/.*//' python; hone compare $TEST/golden/llama-tied --pytorch ./python --max-tokens 2 > out
2> hone: what a measurement says cannot be read: line 1, column 1: found 'g', expected a JSON value
? 1
$ sed -i '4s/.*/exec sleep 60/' python; hone compare $TEST/golden/llama-tied --pytorch ./python --pytorch-timeout 0.3 --max-tokens 2 > out
2> hone: PyTorch had not ended after 0.3 seconds
? 1
